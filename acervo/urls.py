"""All doors of the pages, on one page. Webhooks, playback and live news are routes beside Django: see `asgi.py`."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter
from django.views.generic import RedirectView

from acervo.web import addresses, connections, contacts, file_page, health, library, preferences, sign_in

register_converter(addresses.Ulid, "ulid")

urlpatterns: list[URLPattern] = [
    path("", RedirectView.as_view(url="/library", query_string=True), name="home"),
    path("library", library.library, name="library"),
    path("m/<ulid:file>", file_page.file_page, name="file"),
    path("m/<ulid:file>/retry", file_page.retry_capture, name="retry_capture"),
    path("m/<ulid:file>/deliveries/<ulid:delivery>/retry", file_page.retry_delivery, name="retry_delivery"),
    path("m/<ulid:file>/deliveries/<ulid:delivery>/choose", file_page.choose_record, name="choose_record"),
    path("contacts", contacts.contacts, name="contacts"),
    path("contacts/<ulid:person>", contacts.contact, name="contact"),
    path("health", health.health, name="health"),
    path("health/replay", health.replay, name="replay"),
    path("integrations", connections.connections, name="connections"),
    path("integrations/<ulid:connection>/pause", connections.pause, name="pause"),
    path("integrations/<ulid:connection>/resume", connections.resume, name="resume"),
    path("integrations/<ulid:connection>/reconnect", connections.reconnect, name="reconnect"),
    path("me", preferences.me, name="me"),
    path("appearance", preferences.appearance, name="appearance"),
    # The names are allauth's, the addresses ours.
    path("me/password", sign_in.change_password, name="account_change_password"),
    path("sign-in", sign_in.sign_in, name="account_login"),
    path("sign-out", sign_in.sign_out, name="account_logout"),
    path("sign-up", sign_in.no_sign_up, name="account_signup"),
    path("sign-in/inactive", sign_in.inactive, name="account_inactive"),
]

handler400 = "acervo.web.problems.bad_request"
handler403 = "acervo.web.problems.forbidden"
handler404 = "acervo.web.problems.not_found"
handler500 = "acervo.web.problems.server_error"
