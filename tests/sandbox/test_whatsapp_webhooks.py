"""The sandbox writes webhooks as Meta does: the keys of the recorded shapes, the escapes, the signature."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from acervo.providers import meta_cloud
from sandbox.whatsapp import (
    Announced,
    Customer,
    Layout,
    Phone,
    batch,
    lost_message,
    message,
    new_message_id,
    reaction,
    sign,
    signed,
    status,
    webhook,
)

SHAPES = Path(meta_cloud.__file__).parent
NOW = 1767225600
CLIENT = Customer("Cliente Teste", phone="15555550142", user_id="US.10000000000000000142")
HIDDEN = Customer("Cliente Teste", user_id="US.10000000000000000142", username="@cliente.teste")
OURS = "wamid.HBgLMTU1NTU1NTAxNDIVAgARGBIzRUIwMDAwMDAwMDAwQjAwMDUA"


def a_file(mime, name="x"):
    return Announced(
        "900000000000001", mime, hashlib.sha256(name.encode()).hexdigest(), 1, "https://h/a?mid=1"
    )


WRITTEN = {
    "audio_voice_note": [message(CLIENT, file=a_file("audio/ogg; codecs=opus"))],
    "audio_file_amr": [message(CLIENT, file=a_file("audio/amr"))],
    "image": [message(CLIENT, file=a_file("image/jpeg"), caption="Comprovante")],
    "image_no_caption": [message(CLIENT, file=a_file("image/jpeg"))],
    "video": [message(CLIENT, file=a_file("video/mp4"), caption="Vídeo")],
    "document_pdf": [
        message(CLIENT, file=a_file("application/pdf"), caption="recibo", file_name="recibo ação.pdf")
    ],
    "sticker_static": [message(CLIENT, file=a_file("image/webp"))],
    "text": [message(CLIENT, text="Olá")],
    "text_username_phone_hidden": [message(HIDDEN, text="oi")],
    "text_legacy_no_bsuid": [message(Customer("Cliente Teste", phone="15555550142"), text="oi")],
    "text_forwarded": [message(CLIENT, text="fwd", forwarded=True)],
    "reaction": [reaction(CLIENT, OURS, "👍")],
    "reaction_removed": [reaction(CLIENT, OURS, None)],
    "status_read": [status(CLIENT, OURS, "read")],
}


def shape(value):
    """The keys, all the way down, in order; the types of the leaves."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def recorded(name):
    return json.loads((SHAPES / "payloads" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", WRITTEN)
def test_a_webhook_has_exactly_the_keys_of_its_recorded_shape(name):
    assert shape(json.loads(webhook(WRITTEN[name]).body)) == shape(recorded(name))


def test_a_batch_of_several_numbers_has_the_recorded_shape():
    one, other = Phone(), Phone(phone_number_id="106500000000002", waba_id="102900000000002")
    note, picture = a_file("audio/ogg; codecs=opus"), a_file("image/jpeg")
    delivered = status(Customer("Cliente Teste", phone="15555550142"), OURS, "delivered")
    items = [message(CLIENT, file=note), message(CLIENT, file=picture), delivered]
    body = json.loads(batch([(one, items), (other, items[:1])], app_secret="s").body)
    wanted = recorded("batch_multi_entry_with_duplicate")
    for entry in (*body["entry"], *wanted["entry"]):
        for change in entry["changes"]:
            del change["value"]["contacts"]  # the recorded status names a customer with both ids
    assert shape(body) == shape(wanted)


def test_the_escapes_and_the_signature_are_metas_own():
    """The recorded body with escapes is the one whose signature was altered; its true signature is another's."""
    vectors = {one["name"]: one for one in json.loads((SHAPES / "signatures.json").read_text())["vectors"]}
    escaped = base64.b64decode(vectors["missing_prefix"]["body_base64"])
    written = signed(json.loads(escaped), vectors["missing_prefix"]["app_secret"])
    assert written.body == escaped
    assert written.headers["X-Hub-Signature-256"] == (
        "sha256=" + vectors["missing_prefix"]["header"]["X-Hub-Signature-256"]
    )


def test_every_genuine_signature_vector_is_reproduced_and_no_forged_one():
    vectors = json.loads((SHAPES / "signatures.json").read_text())["vectors"]
    for one in vectors:
        made = sign(base64.b64decode(one["body_base64"]), one["app_secret"])
        assert (made == one["header"].get("X-Hub-Signature-256")) is one["valid"], one["name"]
    assert {one["valid"] for one in vectors} == {True, False}


def test_a_body_is_ascii_with_slashes_and_at_signs_escaped():
    body = webhook([message(CLIENT, text="café <a@b.test> / 👋")]).body
    assert body.isascii()
    assert rb"caf\u00e9 \u003Ca\u0040b.test\u003E \/ \ud83d\udc4b" in body
    assert json.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"].endswith("/ 👋")


def test_a_sender_without_a_phone_has_no_phone_anywhere():
    value = json.loads(webhook([message(HIDDEN, text="oi")]).body)["entry"][0]["changes"][0]["value"]
    assert "from" not in value["messages"][0]
    assert "wa_id" not in value["contacts"][0]


def test_the_link_is_left_out_when_asked():
    sent = message(CLIENT, file=a_file("image/jpeg"), with_url=False).payload["image"]
    assert "url" not in sent
    assert sent["id"] == "900000000000001"


def test_the_hash_in_a_webhook_is_base64():
    sent = message(CLIENT, file=a_file("image/jpeg", "conteúdo")).payload["image"]["sha256"]
    assert base64.b64decode(sent) == hashlib.sha256("conteúdo".encode()).digest()


@pytest.mark.parametrize(
    ("layout", "counts"), [("together", [[2]]), ("change_each", [[1, 1]]), ("entry_each", [[1], [1]])]
)
def test_the_same_messages_can_be_packed_in_three_ways(layout, counts):
    body = json.loads(webhook([message(CLIENT, text=t) for t in "ab"], layout=Layout(layout)).body)
    assert counts == [[len(c["value"]["messages"]) for c in entry["changes"]] for entry in body["entry"]]


def test_a_lost_file_has_an_error_and_no_id():
    payload = lost_message(CLIENT, kind="video").payload
    assert payload["errors"][0]["code"] == 131052
    assert "video" not in payload


def test_message_ids_are_packed_as_metas_and_never_repeat():
    taken = "wamid.HBgLMTU1NTU1NTAxNDIVAgASGBQzQTAwMDAwMDAwMDAwMDBBMDAwMQA="
    made = {new_message_id(CLIENT) for _ in range(100)}
    assert len(made) == 100
    unpacked = base64.b64decode(made.pop().removeprefix("wamid."))
    sample = base64.b64decode(taken.removeprefix("wamid."))
    assert (len(unpacked), unpacked[:20]) == (len(sample), sample[:20])


def test_a_message_is_either_a_text_or_a_file():
    with pytest.raises(ValueError, match="either"):
        message(CLIENT)
