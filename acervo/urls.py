"""All doors of the pages, on one page. Webhooks, playback and live news are routes beside Django: see `asgi.py`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.views.generic import RedirectView

from acervo.api.main import DOORS as API
from acervo.web import (
    addresses,
    answer_settings,
    answers,
    connection_changes,
    connection_page,
    connections,
    contacts,
    custody,
    file_page,
    health,
    imports,
    library,
    media_settings,
    preferences,
    remakes,
    setup_links,
    setups,
    sign_in,
    storage,
    transcribers,
    transcripts,
)

register_converter(addresses.Ulid, "ulid")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include(API)),
    path("", RedirectView.as_view(url="/library", query_string=True), name="home"),
    path("library", library.library, name="library"),
    path("m/<ulid:file>", file_page.file_page, name="file"),
    path("m/<ulid:file>/retry", file_page.retry_capture, name="retry_capture"),
    path("m/<ulid:file>/deliveries/<ulid:delivery>/retry", file_page.retry_delivery, name="retry_delivery"),
    path("m/<ulid:file>/deliveries/<ulid:delivery>/choose", file_page.choose_record, name="choose_record"),
    path("m/<ulid:file>/fetch-by-hand", custody.lift_limit, name="lift_limit"),
    path("m/<ulid:file>/release", custody.release, name="release"),
    path("m/<ulid:file>/leave-in-quarantine", custody.leave_in_quarantine, name="leave_in_quarantine"),
    path("m/<ulid:file>/scan-again", custody.scan_again, name="scan_again"),
    path("m/<ulid:file>/waive-scan", custody.waive_scan, name="waive_scan"),
    path("m/<ulid:file>/transcript", transcripts.ask, name="ask_transcript"),
    path("m/<ulid:file>/transcript.<str:form>", transcripts.download, name="transcript_text"),
    path("m/<ulid:file>/segments/<ulid:segment>", transcripts.segment, name="segment"),
    path("chats/<ulid:chat>/write", answers.write, name="write"),
    path("chats/<ulid:chat>/messages/<ulid:sending>/again", answers.send_again, name="send_again"),
    path("chats/<ulid:chat>/messages/<ulid:sending>/cancel", answers.cancel, name="cancel_sending"),
    path("contacts", contacts.contacts, name="contacts"),
    path("contacts/<ulid:person>", contacts.contact, name="contact"),
    path("health", health.health, name="health"),
    path("health/replay", health.replay, name="replay"),
    path("integrations", connections.connections, name="connections"),
    path("integrations/import", imports.imports, name="imports"),
    path("integrations/import/<ulid:run>", imports.chat_import, name="chat_import"),
    path("integrations/import/<ulid:run>/begin", imports.begin, name="begin_import"),
    path("integrations/import/<ulid:run>/resume", imports.resume, name="resume_import"),
    path("integrations/import/<ulid:run>/transcribe", imports.transcribe, name="transcribe_import"),
    path("integrations/import/<ulid:run>/undo", imports.undo, name="undo_import"),
    path("integrations/<ulid:connection>", connection_page.connection, name="connection"),
    path("integrations/<ulid:connection>/check", connection_page.check, name="check_connection"),
    path("integrations/<ulid:connection>/probe", connection_page.probe, name="probe_connection"),
    path("integrations/<ulid:connection>/reports/seen", connection_page.see, name="see_reports"),
    path("integrations/<ulid:connection>/pause", connections.pause, name="pause"),
    path("integrations/<ulid:connection>/resume", connections.resume, name="resume"),
    path("integrations/<ulid:connection>/reconnect", connection_changes.reconnect, name="reconnect"),
    path("integrations/<ulid:connection>/end-previous", connection_changes.end_previous, name="end_previous"),
    path("integrations/<ulid:connection>/renew", connection_changes.renew, name="renew"),
    path("integrations/<ulid:connection>/edit", connection_changes.edit, name="edit"),
    path("integrations/<ulid:connection>/remove", connection_changes.remove, name="remove"),
    path("integrations/new/whatsapp", setups.begin, name="setup_begin"),
    path("integrations/new/whatsapp/<ulid:setup>", setups.resume, name="setup"),
    path("integrations/new/whatsapp/<ulid:setup>/provider", setups.provider, name="setup_provider"),
    path("integrations/new/whatsapp/<ulid:setup>/access", setups.access, name="setup_access"),
    path("integrations/new/whatsapp/<ulid:setup>/webhook", setups.webhook, name="setup_webhook"),
    path("integrations/new/whatsapp/<ulid:setup>/tell", setups.tell, name="setup_tell"),
    path("integrations/new/whatsapp/<ulid:setup>/test", setups.test, name="setup_test"),
    path("integrations/new/whatsapp/<ulid:setup>/skip-test", setups.skip_test, name="setup_skip"),
    path("integrations/new/whatsapp/<ulid:setup>/privacy", setups.privacy, name="setup_privacy"),
    path("integrations/new/whatsapp/<ulid:setup>/discard", setups.discard, name="setup_discard"),
    path("integrations/new/whatsapp/<ulid:setup>/send", setups.send, name="setup_send"),
    path(
        "integrations/new/whatsapp/<ulid:setup>/links/<ulid:link>/revoke", setups.revoke, name="setup_revoke"
    ),
    path("step/<str:token>", setup_links.step, name="setup_step"),
    path("me", preferences.me, name="me"),
    path("settings/media", media_settings.media, name="settings_media"),
    path("settings/media/reset", media_settings.reset, name="reset_media_rules"),
    path("settings/answers", answer_settings.settings_answers, name="settings_answers"),
    path("settings/remakes", remakes.remakes, name="settings_remakes"),
    path("settings/remakes/count", remakes.count, name="count_remake"),
    path("settings/remakes/<ulid:run>/pause", remakes.pause, name="pause_remake"),
    path("settings/remakes/<ulid:run>/resume", remakes.resume, name="resume_remake"),
    path("settings/remakes/<ulid:run>/cancel", remakes.cancel, name="cancel_remake"),
    path("settings/storage", storage.storage, name="settings_storage"),
    path("settings/transcripts", transcribers.engine, name="settings_transcripts"),
    path("settings/transcripts/try", transcribers.try_engine, name="try_engine"),
    path("settings/transcripts/pause", transcribers.pause, name="pause_engine"),
    path("settings/transcripts/resume", transcribers.resume, name="resume_engine"),
    path("settings/transcripts/off", transcribers.remove, name="remove_engine"),
    path("settings/transcripts/all", transcribers.transcribe_all, name="transcribe_all"),
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
