"""Writing to a contact from the pages: who may, what is refused and kept, what is shown of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acervo.base import clock, ids
from acervo.models import (
    AnswerPolicy,
    AuditEntry,
    ConsentAnswer,
    MediaFile,
    Message,
    Sending,
    SendingPurpose,
)
from tests.conftest import make_connection, make_file, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def media(announced_file) -> MediaFile:
    """The customer sent it just now, and it could not be kept."""
    at = clock.now()
    return announced_file(gone_at=at, refusal="too_large", refused_at=at)


def where(media, query=""):
    return f"/chats/{ids.text(media.chat_id)}/write{query}"


def form(media, **typed):
    return {"id": ids.text(ids.new()), "as": "text", "file": media.slug, "text": "Recebemos", **typed}


def closed(media):
    Message.objects.update(sent_at=clock.now() - timedelta(days=2))


def test_a_text_is_written_down_and_shown_on_the_files_page(media, bob, page_of):
    client = page_of(bob)
    answer = client.post(where(media), form(media), follow=True)
    sending = Sending.objects.get()
    assert (sending.text, sending.media, sending.answers, sending.asked_by) == (
        "Recebemos", media, media.message, f"member:{ids.text(bob.pk)}",
    )  # fmt: skip
    page = answer.content.decode()
    assert answer.redirect_chain[-1][0] == f"/m/{media.slug}"
    assert "Recebemos" in page
    assert "On its way out" in page
    assert AuditEntry.objects.filter(action="answer.asked", subject_id=media.pk).exists()


def test_the_same_form_twice_is_one_message(media, bob, page_of):
    client, typed = page_of(bob), form(media)
    assert [client.post(where(media), typed).status_code for _ in range(2)] == [302, 302]
    assert Sending.objects.count() == 1


def test_outside_the_window_the_refusal_is_plain_and_nothing_typed_is_lost(media, bob, page_of):
    closed(media)
    client = page_of(bob)
    assert "WhatsApp allows only an approved template now." in client.get(where(media)).content.decode()
    answer = client.post(where(media), form(media, text="Uma resposta longa"))
    assert answer.status_code == 422
    assert "Uma resposta longa" in answer.content.decode()
    assert "More than 24 hours" in answer.content.decode()
    assert not Sending.objects.exists()


def test_a_template_goes_outside_the_window(media, bob, page_of):
    closed(media)
    typed = {"as": "template", "template_name": "retorno", "template_language": "pt_BR"}
    typed["template_values"] = " Marina \r\n\r\nfibra"
    assert page_of(bob).post(where(media), form(media, **typed)).status_code == 302
    assert Sending.objects.get().template == {
        "name": "retorno", "language": "pt_BR", "values": ["Marina", "fibra"], "options": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"text": "   "}, "Write something first."),
        ({"text": "a" * 1025}, "too long for WhatsApp"),
        (
            {"as": "template", "template_name": "", "template_language": "pt_BR"},
            "needs its name and its language",
        ),
        ({"as": "consent", "yes": "", "no": "Não"}, "Write something first."),
        ({"id": "no ulid"}, "Choose one of the answers"),
    ],
)
def test_each_mistake_says_what_to_do(media, bob, page_of, typed, said):
    answer = page_of(bob).post(where(media), form(media, **typed))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Sending.objects.exists()


def test_asking_for_consent_is_suggested_in_their_language_with_two_buttons(media, bob, page_of):
    client = page_of(bob)
    page = client.get(where(media, "?as=consent")).content.decode()
    assert "May we keep the messages" in page
    client.post(where(media), form(media, **{"as": "consent", "yes": "Sim", "no": "Não"}))
    sending = Sending.objects.get()
    assert sending.purpose == SendingPurpose.CONSENT_ASKED
    assert [button["title"] for button in sending.buttons] == ["Sim", "Não"]
    assert sending.buttons[0]["id"] == f"consent:yes:{sending.pk.hex}"


def test_a_lost_file_offers_to_tell_the_contact_with_a_text(media, bob, page_of):
    client = page_of(bob)
    assert "Tell the contact" in client.get(f"/m/{media.slug}").content.decode()
    page = client.get(where(media, f"?as=not_taken&file={media.slug}")).content.decode()
    assert "We could not receive the file" in page
    client.post(where(media), form(media, **{"as": "not_taken"}))
    assert Sending.objects.get().purpose == SendingPurpose.FILE_NOT_TAKEN
    again = client.post(where(media), form(media, **{"as": "not_taken"}))
    assert again.status_code == 422
    assert "already told about this file" in again.content.decode()


def test_a_contacts_page_shows_messages_and_the_consent_with_its_proof(media, alice, page_of):
    client = page_of(alice)
    client.post(where(media), form(media, **{"as": "consent", "yes": "Sim", "no": "Não", "text": "Podemos?"}))
    message = media.message
    Message.objects.filter(pk=message.pk).update(text="Sim")
    ConsentAnswer.objects.create(
        workspace=media.workspace, person=media.person, sending=Sending.objects.get(), message=message,
        given_at=message.sent_at,
    )  # fmt: skip
    page = client.get(f"/contacts/{ids.text(media.person_id)}").content.decode()
    for words in ("Agreed", "“Sim”", "Podemos?", "Write through Suporte", "Ask for consent"):
        assert words in page


def test_failed_and_waiting_messages_can_be_sent_again_or_stopped(media, bob, page_of):
    client = page_of(bob)
    client.post(where(media), form(media))
    sending = Sending.objects.get()
    base = f"/chats/{ids.text(media.chat_id)}/messages/{sending.slug}"
    assert "Stop it" in client.get(f"/m/{media.slug}").content.decode()
    client.post(f"{base}/cancel")
    sending.refresh_from_db()
    assert sending.refusal == "cancelled"
    page = client.get(f"/m/{media.slug}").content.decode()
    assert "Somebody stopped it before it left." in page
    assert "Send it once more" in page
    assert "It is being sent once more." in client.post(f"{base}/again", follow=True).content.decode()
    assert Sending.objects.filter(repeats=sending).count() == 1
    assert "Send it once more" not in client.get(f"/m/{media.slug}").content.decode()
    assert "left already" in client.post(f"{base}/cancel", follow=True).content.decode()


def test_an_unknown_outcome_says_that_nobody_knows(media, bob, page_of):
    page_of(bob).post(where(media), form(media))
    at = clock.now()
    Sending.objects.update(tried_at=at, refusal="timed_out", refused_at=at)
    page = page_of(bob).get(f"/m/{media.slug}").content.decode()
    assert "Perhaps sent" in page
    assert "Look into the chat before you send it again." in page


def test_a_paused_number_says_so_and_sends_nothing(media, alice, page_of):
    type(media.connection).objects.update(paused_at=clock.now(), paused_by="x", pause_reason="token_revoked")
    client = page_of(alice)
    assert "This number is paused" in client.get(where(media)).content.decode()
    assert client.post(where(media), form(media)).status_code == 422


def test_an_agent_writes_only_where_the_team_sees_the_person(bob, team, workspace, connection, page_of):
    voice = make_file(connection, kind="voice")
    hidden = make_file(
        connection, kind="image", person=make_person(workspace, "Outra Pessoa", "+15555550777")
    )
    other = make_connection(workspace, "meta_cloud", account_id="106500000000009", name="Vendas")
    elsewhere = make_file(other, kind="voice", person=make_person(workspace, "Mais Uma", "+15555550778"))
    client = page_of(bob)
    assert client.get(where(voice)).status_code == 200
    for media in (hidden, elsewhere):
        assert client.get(where(media)).status_code == 404
        assert client.post(where(media), form(media)).status_code == 404
    assert client.get(where(voice, f"?file={hidden.slug}")).status_code == 404
    assert client.get(where(voice, "?file=nonsense")).status_code == 404


def test_the_settings_are_saved_shown_and_guarded(alice, everybody, page_of):
    client = page_of(alice)
    page = client.get("/settings/answers")
    typed = {
        "seen": page.context["seen"],
        "tells_not_taken": "yes",
        "file_not_taken-es": "Otra vez, por favor.",
    }
    assert client.post("/settings/answers", typed).status_code == 302
    policy = AnswerPolicy.objects.get()
    assert policy.tells_not_taken_since is not None
    assert policy.wordings == {"file_not_taken": {"es": "Otra vez, por favor."}}
    assert "Otra vez, por favor." in client.get("/settings/answers").content.decode()
    stale = client.post("/settings/answers", typed)
    assert stale.status_code == 409
    assert client.post("/settings/answers", {**typed, "seen": client.get("/settings/answers").context["seen"], "consent_asked-en": "a" * 1025}).status_code == 422  # fmt: skip
    assert page_of(everybody["manager"]).post("/settings/answers", typed).status_code == 403


def test_the_rules_of_a_number_are_chosen_with_their_meaning(alice, connection, workspace, page_of):
    client = page_of(alice)
    here = f"/integrations/{ids.text(connection.pk)}/edit"
    typed = {"name": "Loja", "legal_basis": "contract"}
    assert "What is deleted at" not in client.get(here).content.decode()
    assert client.post(here, {**typed, "on_revoke": "hide", "forgets": "proven"}).status_code == 302
    connection.refresh_from_db()
    assert connection.on_revoke == "hide"
    assert "forgets" not in connection.options
    assert AuditEntry.objects.get(action="connection.on_revoke_changed").details == {
        "kind": "meta_cloud", "from": "keep", "to": "hide",
    }  # fmt: skip
    for wrong in ({"on_revoke": "sell"}, {"forgets": "sometimes"}, {"legal_basis": "fun"}):
        assert client.post(here, {**typed, **wrong}).status_code == 422
    twilio = make_connection(workspace, "twilio", account_id="+15555550123", secrets={"auth_token": "t"})
    here = f"/integrations/{ids.text(twilio.pk)}/edit"
    assert "What is deleted at Twilio" in client.get(here).content.decode()
    assert client.post(here, {**typed, "forgets": "proven"}).status_code == 302
    twilio.refresh_from_db()
    assert twilio.options["forgets"] is True


def test_a_file_that_was_taken_back_says_so(kept_file, alice, bob, page_of):
    media = kept_file()
    Message.objects.filter(pk=media.message_id).update(revoked_at=clock.now())
    assert "Taken back by the sender" in page_of(bob).get(f"/m/{media.slug}").content.decode()
    assert "Taken back by the sender" in page_of(bob).get("/library").content.decode()
    MediaFile.objects.update(hidden_at=clock.now())
    assert page_of(bob).get(f"/m/{media.slug}").status_code == 404
    page = page_of(alice).get(f"/m/{media.slug}").content.decode()
    assert "Hidden, its sender took it back" in page
    assert "Taken back by their senders, and hidden" in page_of(alice).get("/health").content.decode()
