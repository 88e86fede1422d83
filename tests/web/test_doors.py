"""Every door, for everybody who should not pass it: generated from the addresses there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

import acervo.web
from acervo.base import clock
from acervo.govern import subscriptions
from acervo.govern.subscriptions import Wish
from acervo.models import (
    Ability,
    ApiToken,
    AuditEntry,
    Backfill,
    ChatImport,
    ContactDecision,
    Delivery,
    EmbedKey,
    Member,
    Receipt,
    RecordLink,
    Remake,
    Role,
    Sending,
    Setup,
    SetupLink,
    Transcript,
    TranscriptSegment,
    Workspace,
)
from acervo.models.member import ABILITIES
from acervo.receive import imports
from tests.conftest import keep, make_connection, make_file, make_member

EXPORT = Path(__file__).parents[1] / "imports" / "payloads" / "spoofed_header_inside_message.txt"
OPEN_TO_ALL = {"home", "appearance", "account_login", "account_logout", "account_signup", "account_inactive"}
OPEN_TO_ALL |= {"setup_step"}  # for whoever has the link; `test_setup_links.py`
OPEN_TO_ALL |= {  # for whoever a CRM proves to be its agent; `tests/embed`
    "embed_page",
    "embed_fetch",
    "embed_link",
    "embed_open",
    "embed_files",
    "embed_playback",
    "embed_transcript",
    "embed_retry",
    "embed_renew",
}
NEEDS = {
    "health": {Ability.OPERATE},
    "replay": {Ability.OPERATE, Ability.RETRY},
    "connections": {Ability.OPERATE},
    "connection": {Ability.OPERATE},
    "check_connection": {Ability.OPERATE, Ability.RETRY},
    "probe_connection": {Ability.OPERATE, Ability.RETRY},
    "see_reports": {Ability.OPERATE, Ability.RETRY},
    "pause": {Ability.CONNECT},
    "resume": {Ability.CONNECT},
    "reconnect": {Ability.CONNECT},
    "edit": {Ability.CONNECT},
    "remove": {Ability.CONNECT},
    "end_previous": {Ability.CONNECT},
    "renew": {Ability.CONNECT},
    **{
        name: {Ability.CONNECT}
        for name in (
            "setup",
            "setup_begin",
            "setup_provider",
            "setup_access",
            "setup_webhook",
            "setup_tell",
            "setup_test",
            "setup_skip",
            "setup_privacy",
            "setup_discard",
            "setup_send",
            "setup_revoke",
        )
    },
    **{
        name: {Ability.CONNECT}
        for name in (
            "crm_choose",
            "crm_access",
            "crm_fields",
            "crm_start",
            "mapping",
            "mapping_preview",
            "mapping_restore",
            "mapping_rewrite",
            "crm_uploads",
            "copy_earlier",
            "retry_uploads",
            "remove_uploads",
        )
    },
    "imports": {Ability.CONNECT},
    "chat_import": {Ability.CONNECT},
    "begin_import": {Ability.CONNECT},
    "resume_import": {Ability.CONNECT},
    "transcribe_import": {Ability.CONNECT},
    "undo_import": {Ability.CONNECT},
    "settings_media": {Ability.OPERATE},
    "reset_media_rules": {Ability.CONFIGURE},
    "settings_remakes": {Ability.OPERATE},
    "count_remake": {Ability.OPERATE},
    "pause_remake": {Ability.CONFIGURE},
    "resume_remake": {Ability.CONFIGURE},
    "cancel_remake": {Ability.CONFIGURE},
    "settings_storage": {Ability.OPERATE},
    "backfill": {Ability.OPERATE},
    "count_backfill": {Ability.OPERATE},
    "pause_backfill": {Ability.CONNECT},
    "resume_backfill": {Ability.CONNECT},
    "cancel_backfill": {Ability.CONNECT},
    "retry_capture": {Ability.RETRY},
    "retry_delivery": {Ability.RETRY},
    "review": {Ability.RETRY},
    "review_decided": {Ability.RETRY},
    "undo_decision": {Ability.RETRY},
    "review_person": {Ability.RETRY},
    "review_candidates": {Ability.RETRY},
    "decide_contact": {Ability.RETRY},
    "related": {Ability.RETRY},
    "tie_file": {Ability.RETRY},
    "untie_file": {Ability.RETRY},
    "keep_tied": {Ability.RETRY},
    "write_to_crm": {Ability.RETRY},
    "undelivered": {Ability.OPERATE},
    "retry_undelivered": {Ability.OPERATE, Ability.RETRY},
    "reconciliation": {Ability.OPERATE},
    "run_reconciliation": {Ability.OPERATE, Ability.RETRY},
    "repair_discrepancies": {Ability.OPERATE, Ability.RETRY},
    "reconciliation_rules": {Ability.CONNECT},
    "lift_limit": {Ability.CONFIGURE},
    "release": {Ability.DECIDE},
    "leave_in_quarantine": {Ability.DECIDE},
    "scan_again": {Ability.DECIDE},
    "waive_scan": {Ability.DECIDE},
    "ask_transcript": {Ability.EDIT},
    "segment": {Ability.EDIT},
    "tag_file": {Ability.EDIT},
    "untag_file": {Ability.EDIT},
    "settings_transcripts": {Ability.CONFIGURE},
    "try_engine": {Ability.CONFIGURE},
    "pause_engine": {Ability.CONFIGURE},
    "resume_engine": {Ability.CONFIGURE},
    "remove_engine": {Ability.CONFIGURE},
    "transcribe_all": {Ability.CONFIGURE},
    "write": {Ability.ANSWER},
    "send_again": {Ability.ANSWER},
    "cancel_sending": {Ability.ANSWER},
    "settings_answers": {Ability.OPERATE},
    "connection_rules": {Ability.CONNECT},
    "hooks": {Ability.OPERATE},
    "hook": {Ability.OPERATE},
    **{
        name: {Ability.CONNECT}
        for name in (
            "new_hook",
            "edit_hook",
            "pause_hook",
            "resume_hook",
            "renew_hook_secret",
            "remove_hook",
            "sample_hook",
            "replay_events",
        )
    },
    "embed_settings": {Ability.CONNECT},
    "embed_on": {Ability.CONNECT},
    "embed_turn_off": {Ability.CONNECT},
    "embed_make_key": {Ability.CONNECT},
    "embed_revoke_key": {Ability.CONNECT},
}
OF_CRMS = {"crm_fields", "crm_start", "mapping", "mapping_preview", "mapping_restore", "mapping_rewrite"}
"""Pages that ask a CRM something: of the one that answers."""
NOBODYS = {"crm_access"}
"""What they are named by is not ours: the same for every workspace."""
POSTED = {
    "replay",
    "pause",
    "resume",
    "retry_capture",
    "retry_delivery",
    "reset_media_rules",
    "pause_remake",
    "resume_remake",
    "cancel_remake",
}
POSTED |= {"check_connection", "probe_connection", "see_reports"}
POSTED |= {"end_previous", "renew", "setup_skip", "setup_discard", "setup_revoke"}
POSTED |= {"mapping_preview", "mapping_restore", "mapping_rewrite"}
POSTED |= {"copy_earlier", "retry_uploads", "remove_uploads"}
POSTED |= {"lift_limit", "release", "leave_in_quarantine", "scan_again", "waive_scan"}
POSTED |= {"send_again", "cancel_sending"}
POSTED |= {"pause_hook", "resume_hook", "renew_hook_secret", "sample_hook", "replay_events"}
POSTED |= {"pause_backfill", "resume_backfill", "cancel_backfill"}
POSTED |= {"undo_decision", "decide_contact", "tie_file", "untie_file", "keep_tied", "write_to_crm"}
POSTED |= {"retry_undelivered", "run_reconciliation", "repair_discrepancies", "reconciliation_rules"}
POSTED |= {"begin_import", "resume_import", "transcribe_import", "undo_import"}
POSTED |= {"tag_file", "untag_file", "revoke_token"}
POSTED |= {"ask_transcript", "try_engine", "pause_engine", "resume_engine", "remove_engine", "transcribe_all"}

POSTED |= {"embed_on", "embed_turn_off", "embed_make_key", "embed_revoke_key"}
OF_A_CRM = {"embed_settings", "embed_on", "embed_turn_off", "embed_make_key", "embed_revoke_key"}
OF_A_CRM |= {"crm_uploads", "copy_earlier", "retry_uploads", "remove_uploads"}
OF_A_CRM |= {"embed_page", "embed_fetch", "embed_link"}
OF_A_CRM |= {"review_person", "review_candidates", "decide_contact", "write_to_crm", "undelivered"}
OF_A_CRM |= {
    "retry_undelivered",
    "reconciliation",
    "run_reconciliation",
    "repair_discrepancies",
    "reconciliation_rules",
}
"""Whose `connection` is a CRM."""


OF_THEIR_OWN = {"revoke_token"}
"""What one member has does not exist for another, except for those who connect systems."""


def patterns() -> list[URLPattern]:
    return [pattern for pattern in get_resolver().url_patterns if isinstance(pattern, URLPattern)]


def names() -> list[str]:
    return [str(pattern.name) for pattern in patterns()]


def parts(name: str) -> set[str]:
    pattern = next(pattern for pattern in patterns() if pattern.name == name)
    return set(pattern.pattern.converters)


@pytest.fixture(scope="module")
def standing(django_db_setup, django_db_blocker):
    """`ours` and `everybody`, made once: each test begins behind them, and ends with going back to where it began."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield _furnished()
        transaction.set_rollback(True)


@pytest.fixture
def ours(standing, db):
    """What stands for each noun in an address."""
    return standing[0]


@pytest.fixture
def everybody(standing, db):
    """A member of each role in our workspace, as they were before any test."""
    return {role: Member.objects.get(pk=pk) for role, pk in standing[1].items()}


def _furnished():
    """Something of every noun an address can name, and a member of each role, in a workspace of ours."""
    workspace = Workspace.objects.create(name="Telecom Aurora")
    connection = make_connection(workspace, "meta_cloud")
    everybody = {role: make_member(workspace, f"member-{role}", role) for role in Role.values}
    media = keep(
        make_file(connection, caption="Olá", file_name="segredo.ogg"), b"OggS not really a voice note"
    )
    crm = make_connection(
        workspace, "hubspot", account_id="4242", name="HubSpot Aurora", secrets={"token": "x"}
    )
    promised = Delivery.objects.create(
        workspace=workspace, connection=crm, media=media, promised_at=clock.now(), due_at=clock.now()
    )
    own = make_connection(
        workspace, "fake", purpose="crm", account_id="fake", name="CRM Aurora", secrets={"token": "doors"}
    )
    Receipt.objects.create(
        workspace=workspace, connection=connection, received_at=clock.now(), read_at=clock.now(), body=b"{}",
        unread=[{"pointer": "/entry/0", "type": "change", "reason": "unheard of"}],
    )  # fmt: skip
    run = Remake.objects.create(workspace=workspace, query="q=Marina", total=1, asked_by="command:x")
    Backfill.objects.create(
        id=run.pk, workspace=workspace, connection=crm, query="q=Marina", total=1, asked_by="command:x"
    )
    ChatImport.objects.create(
        id=run.pk,  # all three are a `run` in their addresses
        workspace=workspace, connection=connection, person=media.person, archive_name="Marina Duarte.zip",
        archive_sha256="0" * 64, time_zone="America/Sao_Paulo", asked_by="command:x",
        report=imports.look(EXPORT).report(),
    )  # fmt: skip
    spoken = Transcript.objects.create(
        workspace=workspace,
        media=media,
        asked_by="test",
        made_at=clock.now(),
        engine="fake",
        text="Marina disse",
    )
    segment = TranscriptSegment.objects.create(
        transcript=spoken, position=0, start_s=0, end_s=1, text="Marina disse"
    )
    setup = Setup.objects.create(
        workspace=workspace, kind="meta_cloud", name="Suporte", connection=connection, begun_by="test"
    )
    link = SetupLink.objects.create(
        setup=setup, step="webhook", token_sha256="0" * 64, made_by="test", expires_at=clock.now()
    )
    said = Sending.objects.create(
        workspace=workspace, connection=connection, chat=media.chat, purpose="by_hand", text="Marina Duarte, oi",
        media=media, asked_at=clock.now(), asked_by="test", due_at=clock.now(),
    )  # fmt: skip
    key = ApiToken.objects.create(
        workspace=workspace, member=everybody[Role.ADMINISTRATOR], name="Marina Duarte", prefix="acv_x", token_sha256="0" * 64,
        scopes=["media:read"],
    )  # fmt: skip
    # Both are a `key` in their addresses.
    EmbedKey.objects.create(id=key.pk, connection=crm, token_sha256="0" * 64, made_by="test")
    wish = Wish(url="https://hooks.example.com/Marina", events=["media.ready"], name="Marina Duarte")
    hook, _secret = subscriptions.subscribe(workspace.pk, wish, by="test")
    RecordLink.objects.create(
        id=link.pk,  # both are a `link` in their addresses
        workspace=workspace, connection=crm, media=media, object_type="deal", record_id="1", reason="chosen",
        linked_by="test", linked_at=clock.now(),
    )  # fmt: skip
    decision = ContactDecision.objects.create(
        workspace=workspace, connection=crm, person=media.person, verdict="left_out", reason="Marina Duarte",
        stopped_because="ambiguous", decided_at=clock.now(), decided_by="test",
    )  # fmt: skip
    ours = {
        "setup": setup.pk, "link": link.pk, "token": "not-a-token", "key": key.pk, "subscription": hook.pk,
        "code": "not-a-code", "decision": decision.pk, "kind": "hubspot", "own": own.pk,
        "chat": media.chat_id, "sending": said.pk,
        "file": media.pk, "delivery": promised.pk, "person": media.person_id, "connection": connection.pk,
        "crm": crm.pk, "run": run.pk, "segment": segment.pk, "form": "txt",
    }  # fmt: skip
    return ours, {role: member.pk for role, member in everybody.items()}


def address(name, ours):
    crm = ours["own"] if name in OF_CRMS else ours["crm"] if name in OF_A_CRM else ours["connection"]
    named = {**ours, "connection": crm}
    return reverse(name, kwargs={part: named[part] for part in parts(name)})


def knock(client, name, ours):
    where = address(name, ours)
    return client.post(where) if name in POSTED else client.get(where)


@pytest.mark.parametrize("name", [name for name in names() if name not in OPEN_TO_ALL])
def test_a_stranger_is_sent_to_sign_in_and_back(name, ours):
    answer = knock(Client(), name, ours)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in?next=")


@pytest.mark.parametrize(
    "name",
    [name for name in names() if parts(name) and not name.startswith("embed_") and name not in NOBODYS],
)
def test_nothing_of_ours_exists_for_another_workspace(name, ours, page_of, charlie):
    before = AuditEntry.objects.count()
    assert knock(page_of(charlie), name, ours).status_code == 404
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("name", [name for name in names() if not parts(name) and name not in OPEN_TO_ALL])
def test_every_list_of_another_workspace_is_empty(name, ours, page_of, charlie):
    answer = knock(page_of(charlie), name, ours)
    assert answer.status_code in (200, 302)
    shown = answer.content.decode()
    for ours_alone in (
        "Marina Duarte",
        "segredo.ogg",
        "HubSpot Aurora",
        "CRM Aurora",
        "Suporte",
        "unheard of",
        "106500000000001",
    ):
        assert ours_alone not in shown


@pytest.mark.parametrize(
    "query", ["person={person}", "channel={connection}", "q=Marina", "q=segredo", "capture=kept"]
)
def test_no_filter_reaches_into_another_workspace(query, ours, page_of, charlie):
    from acervo.base import ids

    asked = query.format(person=ids.text(ours["person"]), connection=ids.text(ours["connection"]))
    answer = page_of(charlie).get(f"/library?{asked}")
    assert answer.status_code == 404 or (answer.status_code == 200 and "/m/" not in answer.content.decode())


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("name", [name for name in names() if name not in OPEN_TO_ALL])
def test_a_role_passes_the_doors_its_abilities_open(name, role, ours, everybody, page_of):
    answer = knock(page_of(everybody[role]), name, ours)
    if name in OF_THEIR_OWN and Ability.CONNECT not in ABILITIES[role]:
        assert answer.status_code == 404
        return
    allowed = NEEDS.get(name, set()) <= ABILITIES[role]
    # 422: let in, and told what is missing in the form.
    assert answer.status_code in ((200, 302, 422) if allowed else (403,))


READS_OF_ITS_OWN = {
    ("access.py", "ApiToken"),  # the one that was sent
    ("authors.py", "ApiToken"),  # names of tokens, in the member's workspace
    ("file_tags.py", "FileTag"),  # of a file that is visible
    ("links.py", "ApiToken"),  # for which the key was made
    ("media.py", "AuditEntry"),  # written, not read
    ("once.py", "KeptAnswer"),  # of the token that asks
    ("tags.py", "FileTag"),  # of a file that is visible
    ("cards.py", "Rendition"),  # of files already visible, fetched along with them
    ("cards.py", "Delivery"),  # the same
    ("reconciliations.py", "AuditEntry"),  # openings of files that are visible, in the member's workspace
    ("crm_guidance.py", "crm"),  # no table: scopes of HubSpot's
    ("connections.py", "Delivery"),  # counted for a connection that is visible
    ("file_page.py", "AuditEntry"),  # of a file that is visible, in the member's workspace
    ("authors.py", "EmbedAgent"),  # agents of the CRMs of the member's workspace
    ("authors.py", "Member"),  # names of colleagues, in the member's workspace
    ("embeds.py", "EmbedKey"),  # of a connection that is visible
    ("embeds.py", "EmbedSession"),  # the same
    ("entries.py", "Connection"),  # the one in the address, before anybody has proven anything
    (
        "panel.py",
        "MediaFile",
    ),  # only whether there are any, so that the panel can say that they are not shown
    ("panel.py", "RecordLink"),  # of the session's connection
    ("panel.py", "Transcript"),  # of files that are visible
    ("panel.py", "TranscriptSegment"),  # of a transcript that is visible
    ("sessions.py", "AuditEntry"),  # written, not read
    ("sessions.py", "EmbedAgent"),  # whom the CRM proved to be asking
    ("sessions.py", "EmbedKey"),  # the one that was shown
    ("sessions.py", "EmbedSession"),  # by the digest of a token or a code
    ("custody.py", "AuditEntry"),  # of a file that is visible
    ("first_play.py", "Rendition"),  # whether a copy of a visible file has come
    ("first_play.py", "UnmadeRendition"),  # the same
    ("heard.py", "AuditEntry"),  # of a file that is visible
    ("imports.py", "Message"),  # of an import that is visible
    ("links.py", "EmbedSession"),  # for whom the key was made
    ("links.py", "Member"),  # for whom the key was made
    ("live.py", "MediaFile"),  # the newest change of a workspace; told on only after `visible_to`
    ("live.py", "Workspace"),  # the same
    ("live.py", "Delivery"),  # the newest moment of a workspace; told on only after `visible_to`
    ("noted.py", "AuditEntry"),  # written, not read
    ("playable.py", "Rendition"),  # of a file that is visible
    ("session.py", "Member"),  # whose session it is
    ("setup_checks.py", "AuditEntry"),  # moments of a connection whose setup is visible
    ("setup_checks.py", "Message"),  # the same
    ("setup_checks.py", "Receipt"),  # the same
    ("sources.py", "Rendition"),  # of a file that is visible
    ("transcripts.py", "AuditEntry"),  # written, not read
    ("transcripts.py", "TranscriptEdit"),  # of a transcript that is visible
    ("transcripts.py", "TranscriptSegment"),  # the same
}
"""Every other read of a table in a door begins with `visible_to`. To add a line, say why it is safe."""


def test_every_read_of_a_door_begins_with_what_the_member_may_see():
    found = set()
    for folder in ("web", "play", "api", "embed"):
        for path in (Path(acervo.web.__file__).parent.parent / folder).rglob("*.py"):
            for model in re.findall(r"(\w+)\.objects(?!\s*\.visible_to\()", path.read_text()):
                found.add((path.name, model))
    assert found == READS_OF_ITS_OWN
