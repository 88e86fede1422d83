"""The people of the demo. All are invented; the numbers are in a block nobody answers."""

from __future__ import annotations

from sandbox.voices import Voice
from sandbox.whatsapp.messages import Customer

JOSUE = Customer("Josué Tavares", phone="551155550101", user_id="BR.10000000000000000101")
MARINA = Customer("Marina Duarte", phone="551155550102", user_id="BR.10000000000000000102")
CAIO = Customer("Caio Figueira", phone="551155550103", user_id="BR.10000000000000000103")
BIANCA = Customer("Bianca Lemos", phone="551155550104", user_id="BR.10000000000000000104")
OTAVIO = Customer("Otávio Reis", phone="551155550105", user_id="BR.10000000000000000105")
ROSA = Customer("Rosa Amaral", phone="551155550106", user_id="BR.10000000000000000106")
LIA = Customer("Lia Montenegro", phone="551155550107", user_id="BR.10000000000000000107")
NILO = Customer("Nilo Barreto", phone="551155550108", user_id="BR.10000000000000000108")
SIMONE = Customer("Simone Falcão", user_id="BR.10000000000000000109", username="@simone.falcao")
"""She chose a username: her phone number is never told."""

EVERYONE = (JOSUE, MARINA, CAIO, BIANCA, OTAVIO, ROSA, LIA, NILO, SIMONE)

VOICES = {
    JOSUE: Voice("m3", 158, 42),
    MARINA: Voice("f3", 152, 58),
    CAIO: Voice("m1", 170, 52),
    BIANCA: Voice("f2", 165, 66),
    OTAVIO: Voice("m7", 145, 38),
    ROSA: Voice("f5", 145, 60),
    LIA: Voice("f4", 160, 70),
    NILO: Voice("m2", 150, 48),
    SIMONE: Voice("f1", 155, 55),
}
