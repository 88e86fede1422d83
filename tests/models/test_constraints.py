"""What must never be false: each constraint is broken here on purpose, and the database refuses by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection as database
from django.db import transaction
from django.db.models import CheckConstraint, Model, UniqueConstraint
from django.db.utils import IntegrityError

from acervo.base import clock, ids
from acervo.models import (
    AccountEvent,
    ApiToken,
    AuditEntry,
    Backfill,
    Chat,
    ChatImport,
    ConsentAnswer,
    ContactDecision,
    CrmSetup,
    CrmUpload,
    DataKey,
    Deed,
    Delivery,
    Discrepancy,
    EarlyStatus,
    Embed,
    EmbedAgent,
    EmbedKey,
    EmbedSession,
    Event,
    EventDelivery,
    EventTry,
    FileTag,
    KeptAnswer,
    MappingVersion,
    MediaPolicy,
    Message,
    PersonIdentifier,
    Probe,
    Reconciliation,
    RecordLink,
    Remake,
    Rendition,
    Role,
    Sending,
    Setup,
    SetupLink,
    SizeLimit,
    Subscription,
    Tag,
    Team,
    Transcriber,
    Transcript,
    TranscriptSegment,
    UnmadeRendition,
    Workspace,
)
from tests.conftest import keep, make_connection, make_file, make_member

NOW = clock.now()
PLACE = {"object_key": None, "size_bytes": None, "sealed_bytes": None, "sha256": None, "sealing": None}


def change(row: Model, **facts: object) -> None:
    """Past every check of ours, straight into the table."""
    type(row)._default_manager.filter(pk=row.pk).update(**facts)


def copy(row: Model, **facts: object) -> None:
    """The same row a second time, under another id."""
    twin = type(row)._default_manager.get(pk=row.pk)
    twin.pk = ids.new()
    for name, value in facts.items():
        setattr(twin, name, value)
    twin.save(force_insert=True)


def use_an_audit_number_twice(good: SimpleNamespace) -> None:
    with database.cursor() as cursor:  # the trigger would choose the number
        cursor.execute("ALTER TABLE acervo_auditentry DISABLE TRIGGER audit_is_chained")
    copy(good.entry)


BREAKS: dict[str, Callable[[SimpleNamespace], None]] = {
    # workspaces and members
    "workspace_key_names_its_master_key": lambda good: change(good.workspace, master_key_id=None),
    "team_name_is_unique_in_its_workspace": lambda good: copy(good.team, name="SUPORTE"),
    "member_email_is_unique": lambda good: copy(good.bob, email="BOB@example.com"),
    "member_role_is_known": lambda good: change(good.bob, role="owner"),
    "audit_number_is_used_once": use_an_audit_number_twice,
    # programs
    "api_token_is_one_key": lambda good: copy(good.api_token),
    "api_token_keeps_a_digest_only": lambda good: change(good.api_token, token_sha256="acv_in_the_clear"),
    "api_token_may_do_something_known": lambda good: change(good.api_token, scopes=["media:erase"]),
    "api_token_role_is_known": lambda good: change(good.api_token, role="owner"),
    "api_token_revocation_has_a_time_and_an_author_or_neither": lambda good: change(
        good.api_token, revoked_at=NOW
    ),
    "request_is_answered_once_for_a_key": lambda good: copy(good.kept_answer),
    "kept_answer_knows_its_request": lambda good: change(good.kept_answer, request_sha256="the request"),
    "kept_answer_has_a_status_and_a_body_or_neither": lambda good: change(good.kept_answer, status=200),
    # bytes in a CRM
    "file_is_uploaded_to_a_crm_once": lambda good: copy(good.upload),
    "uploaded_bytes_have_an_id_and_a_holder": lambda good: change(good.upload, uploaded_at=NOW),
    "upload_holder_is_named_with_the_file": lambda good: change(good.upload, holder_id="7"),
    "upload_without_its_file_is_to_leave": lambda good: change(good.upload, media=None),
    "upload_is_not_both_done_and_stopped": lambda good: change(
        good.upload,
        uploaded_at=NOW,
        stopped_at=NOW,
        file_id="1",
        holder_id="7",
        holder_type="media",
        file_name="a",
    ),
    "upload_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(good.upload, refusal="locked"),
    "upload_removal_has_a_time_and_an_author_or_neither": lambda good: change(
        good.upload, remove_asked_at=NOW
    ),
    # tags
    "tag_is_one_word_in_its_workspace": lambda good: copy(good.tag, name="DEFEITO"),
    "tag_is_not_empty": lambda good: change(good.tag, name=""),
    "file_has_a_tag_once": lambda good: copy(good.file_tag),
    # connections
    "account_is_connected_once_in_its_workspace": lambda good: copy(good.connection),
    "connection_pause_has_a_time_an_author_and_a_reason": lambda good: change(good.connection, paused_at=NOW),
    "connection_removal_has_a_time_and_an_author_or_neither": lambda good: change(
        good.connection, removed_at=NOW
    ),
    "connection_purpose_is_known": lambda good: change(good.connection, purpose="both"),
    "connection_legal_basis_is_known": lambda good: change(good.connection, legal_basis="because"),
    # CRMs
    "mapping_version_has_its_own_number": lambda good: copy(good.mapping),
    "mapping_versions_count_from_one": lambda good: change(good.mapping, number=0),
    "mapping_version_says_why": lambda good: change(good.mapping, reason=""),
    "mapping_version_restores_an_earlier_one": lambda good: change(good.mapping, restores=1),
    "crm_fields_are_asked_for_by_somebody": lambda good: change(good.crm_setup, asked_at=NOW),
    "crm_setup_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(
        good.crm_setup, refusal="forbidden"
    ),
    "crm_setup_end_has_a_time_and_an_author_or_neither": lambda good: change(good.crm_setup, finished_at=NOW),
    # setups
    "setup_is_not_both_finished_and_dropped": lambda good: change(
        good.setup, connection=good.connection, finished_at=NOW, dropped_at=NOW, dropped_by="test"
    ),
    "finished_setup_has_a_connection": lambda good: change(good.setup, finished_at=NOW),
    "setup_that_has_no_use_for_secrets_keeps_none": lambda good: change(
        good.setup, connection=good.connection, sealed_secrets=b"sealed"
    ),
    "setup_drop_has_a_time_and_an_author_or_neither": lambda good: change(good.setup, dropped_at=NOW),
    "setup_skips_its_test_with_a_reason": lambda good: change(good.setup, test_skipped_at=NOW),
    "setup_is_tested_or_skips_its_test": lambda good: change(
        good.setup, tested_at=NOW, test_skipped_at=NOW, test_skip_reason="later"
    ),
    "acervo_setup_connection_id_key": lambda good: [
        change(row, connection=good.connection) for row in (good.setup, good.other_setup)
    ],
    "setup_link_opens_one_step": lambda good: copy(good.setup_link),
    "setup_link_keeps_a_digest_only": lambda good: change(good.setup_link, token_sha256="the token itself"),
    "setup_link_is_for_a_step_that_can_be_sent": lambda good: change(good.setup_link, step="privacy"),
    "setup_link_is_tried_so_often_and_no_more": lambda good: change(good.setup_link, tries=31),
    "setup_link_revocation_has_a_time_and_an_author_or_neither": lambda good: change(
        good.setup_link, revoked_at=NOW
    ),
    "connection_on_revoke_is_known": lambda good: change(good.connection, on_revoke="sell"),
    "connection_check_has_a_time_and_a_code_or_neither": lambda good: change(
        good.connection, check_code="ok"
    ),
    "account_event_is_written_once": lambda good: copy(good.account_event),
    "account_event_severity_is_known": lambda good: change(good.account_event, severity="fatal"),
    "account_event_is_seen_by_somebody_at_a_time_or_not": lambda good: change(
        good.account_event, seen_at=NOW
    ),
    "probe_end_has_a_time_and_a_code_or_neither": lambda good: change(good.probe, code="dns"),
    "probe_that_went_well_was_journalled": lambda good: change(good.probe, code="ok", finished_at=NOW),
    # hooks
    "subscription_listens_for_something": lambda good: change(good.hook, events=[]),
    "subscription_events_are_known": lambda good: change(good.hook, events=["media.sold"]),
    "subscription_detail_is_known": lambda good: change(good.hook, detail="all"),
    "subscription_pause_has_a_time_an_author_and_a_reason": lambda good: change(good.hook, paused_at=NOW),
    "subscription_end_has_a_time_an_author_and_a_reason": lambda good: change(
        good.hook, ended_at=NOW, sealed_secrets=None
    ),
    "subscription_has_secrets_until_it_ends": lambda good: change(good.hook, sealed_secrets=None),
    "failing_subscription_says_since_when": lambda good: change(good.hook, failures=1),
    "event_kind_is_known": lambda good: change(good.event, kind="media.sold"),
    "event_is_of_something_or_a_sample": lambda good: change(good.event, is_sample=True),
    "event_is_promised_to_a_subscription_once": lambda good: copy(good.telling),
    "event_delivery_is_not_both_told_and_stopped": lambda good: change(
        good.telling, delivered_at=NOW, stopped_at=NOW, refusal="timed_out", refused_at=NOW
    ),
    "event_delivery_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(
        good.telling, refused_at=NOW
    ),
    "stopped_event_delivery_says_why": lambda good: change(good.telling, stopped_at=NOW),
    "event_try_went_well_exactly_when_it_was_answered_so": lambda good: change(good.call, http_status=500),
    # panels inside CRMs
    "embed_is_turned_on_at_a_time_by_somebody_or_not": lambda good: change(good.embed, turned_on_at=NOW),
    "embed_is_shown_to_a_known_circle": lambda good: change(good.embed, shown_to="world"),
    "embed_key_is_of_one_connection": lambda good: copy(good.embed_key),
    "embed_key_keeps_a_digest_only": lambda good: change(good.embed_key, token_sha256="the key itself"),
    "embed_key_revocation_has_a_time_and_an_author_or_neither": lambda good: change(
        good.embed_key, revoked_at=NOW
    ),
    "agent_of_a_crm_is_known_once": lambda good: copy(good.embed_agent),
    "agent_of_a_crm_has_an_id": lambda good: change(good.embed_agent, agent_id=""),
    "embed_proof_counts_once": lambda good: copy(good.embed_session, code_sha256=None, token_sha256="a" * 64),
    "embed_code_is_of_one_session": lambda good: copy(
        good.embed_session, proof_sha256=None, token_sha256="a" * 64
    ),
    "embed_token_is_of_one_session": lambda good: copy(
        good.embed_session, proof_sha256="b" * 64, code_sha256=None
    ),
    "embed_session_has_a_token_exactly_once_opened": lambda good: change(
        good.embed_session, token_sha256=None
    ),
    "embed_session_begins_with_a_proof_or_a_code": lambda good: change(
        good.embed_session, proof_sha256=None, code_sha256=None
    ),
    "embed_session_keeps_digests_only": lambda good: change(
        good.embed_session, code_sha256="the code itself"
    ),
    "embed_session_is_of_a_whole_record_or_of_none": lambda good: change(good.embed_session, record_id="1"),
    "embed_session_expires_before_it_ends": lambda good: change(
        good.embed_session, ends_at=NOW - timedelta(days=1)
    ),
    # people
    "person_merge_has_a_time_and_a_target_or_neither": lambda good: change(good.person, merged_at=NOW),
    "person_is_not_merged_into_themselves": lambda good: change(
        good.person, merged_into=good.person, merged_at=NOW
    ),
    "identifier_means_one_person": lambda good: copy(good.phone),
    "identifier_is_not_empty": lambda good: change(good.phone, value=""),
    "person_has_one_current_data_key": lambda good: copy(good.data_key),
    "data_key_is_whole_or_destroyed_by_somebody": lambda good: change(good.data_key, wrapped_key=None),
    # messages
    "person_has_one_chat_with_an_account": lambda good: copy(good.chat),
    "message_is_announced_once": lambda good: copy(good.message),
    "message_direction_is_known": lambda good: change(good.message, direction="up"),
    # chats brought in
    "archive_is_imported_once_into_an_account": lambda good: copy(good.chat_import),
    "chat_import_names_its_archive_by_hash": lambda good: change(good.chat_import, archive_sha256="NOT-HEX"),
    "chat_import_date_order_is_known": lambda good: change(good.chat_import, date_order="dym"),
    "started_chat_import_knows_its_date_order": lambda good: change(good.chat_import, started_at=NOW),
    "chat_import_is_finished_only_once_started": lambda good: change(good.chat_import, finished_at=NOW),
    "chat_import_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(
        good.chat_import, refusal="archive_away"
    ),
    "chat_import_undo_has_a_time_and_an_author_or_neither": lambda good: change(
        good.chat_import, undo_asked_at=NOW
    ),
    "chat_import_is_undone_only_once_somebody_asked": lambda good: change(good.chat_import, undone_at=NOW),
    "chat_import_has_a_contact_until_undone": lambda good: change(good.chat_import, person=None),
    "chat_import_does_no_more_than_there_is": lambda good: change(good.chat_import, done=2),
    "chat_import_has_a_whole_place_in_the_vault_or_none": lambda good: change(
        good.chat_import, sha256="0" * 64
    ),
    "chat_import_sealed_by_us_has_its_header_and_key": lambda good: change(
        good.chat_import,
        object_key="w/archive",
        size_bytes=1,
        sealed_bytes=1,
        sha256="0" * 64,
        sealing="acervo",
    ),
    "acervo_chatimport_object_key_key": lambda good: [
        change(row, object_key="w/archive", size_bytes=1, sealed_bytes=1, sha256="0" * 64, sealing="storage")
        for row in (good.chat_import, good.other_import)
    ],
    # files
    "message_holds_a_file_once": lambda good: copy(good.awaited),
    "file_kind_is_known": lambda good: change(good.awaited, kind="hologram"),
    "file_has_a_whole_place_in_the_vault_or_none": lambda good: change(good.kept, sha256="NOT-HEX"),
    "file_sealed_by_us_has_its_header_and_key": lambda good: change(good.kept, seal_header=None),
    "file_is_stored_exactly_when_it_has_a_place": lambda good: change(good.awaited, stored_at=NOW),
    "file_is_not_both_stored_and_lost": lambda good: change(
        good.kept, gone_at=NOW, refusal="expired", refused_at=NOW
    ),
    "lost_file_says_why": lambda good: change(good.awaited, gone_at=NOW),
    "file_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(good.awaited, refusal="expired"),
    "kept_file_is_byte_identical_to_the_announced": lambda good: change(good.kept, announced_sha256="0" * 64),
    "file_is_prepared_only_once_stored": lambda good: change(good.awaited, prepared_at=NOW, mime="audio/ogg"),
    "waveform_has_160_points": lambda good: change(good.kept, waveform=b"short"),
    "acervo_mediafile_object_key_key": lambda good: change(
        good.awaited,
        **{name: getattr(good.kept, name) for name in (*PLACE, "seal_header", "data_key_id")},
        stored_at=NOW,
    ),
    "file_is_held_and_scanned_only_once_stored": lambda good: change(good.awaited, held_at=NOW),
    "infection_is_found_by_a_scan": lambda good: change(good.kept, infection="Eicar"),
    "file_is_released_from_quarantine_only": lambda good: change(good.kept, released_at=NOW),
    "file_is_hidden_or_erased_but_not_both": lambda good: change(
        good.kept, hidden_at=NOW, erase_asked_at=NOW
    ),
    "file_goes_as_taken_back_only_once_asked": lambda good: change(
        good.awaited, gone_at=NOW, refusal="taken_back", refused_at=NOW
    ),
    "file_is_forgotten_only_once_asked": lambda good: change(good.kept, forgotten_at=NOW),
    # renditions
    "file_has_one_rendition_of_a_kind_and_page": lambda good: copy(good.rendition, object_key="w/another"),
    "only_pages_are_numbered": lambda good: change(good.rendition, page=1),
    "rendition_kind_is_known": lambda good: change(good.rendition, kind="hologram"),
    "unmade_rendition_is_told_once_a_kind": lambda good: UnmadeRendition.objects.create(
        media=good.kept, kind="mp3", reason="not_smaller", tried_at=NOW
    ),
    "rendition_has_a_whole_place_in_the_vault_or_none": lambda good: change(good.rendition, size_bytes=-1),
    "rendition_sealed_by_us_has_its_header_and_key": lambda good: change(good.rendition, sealing="acervo"),
    "rendition_has_bytes_in_the_vault": lambda good: change(good.rendition, **PLACE),
    "acervo_rendition_object_key_key": lambda good: copy(good.rendition, kind="thumb_640"),
    # what a workspace wants made
    "media_policy_says_known_words": lambda good: change(good.policy, mp3="perhaps"),
    "media_policy_caps_are_sensible": lambda good: change(good.policy, video_cap_side=1),
    "workspace_has_one_limit_a_kind": lambda good: SizeLimit.objects.create(
        workspace=good.workspace, kind="video", max_bytes=1, changed_by="test"
    ),
    "size_limit_is_positive": lambda good: change(good.size_limit, max_bytes=0),
    "size_limit_kind_is_known": lambda good: change(good.size_limit, kind="hologram"),
    "remake_is_not_both_finished_and_cancelled": lambda good: change(
        good.remake, finished_at=NOW, cancelled_at=NOW
    ),
    "remake_fails_no_more_than_it_did": lambda good: change(good.remake, failed=1),
    "backfill_is_not_both_finished_and_cancelled": lambda good: change(
        good.backfill, finished_at=NOW, cancelled_at=NOW
    ),
    "backfill_writes_no_more_than_it_promised": lambda good: change(good.backfill, written=1),
    "crm_has_one_backfill_at_a_time": lambda good: copy(good.backfill),
    # transcripts
    "transcriber_pause_has_a_time_and_a_reason_or_neither": lambda good: change(
        good.transcriber, paused_at=NOW
    ),
    "transcript_is_not_both_made_and_stopped": lambda good: change(
        good.transcript, stopped_at=NOW, refusal="gone", refused_at=NOW
    ),
    "made_transcript_names_its_engine": lambda good: change(good.transcript, engine=""),
    "transcript_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(
        good.transcript, refusal="gone"
    ),
    "stopped_transcript_says_why": lambda good: change(good.transcript, made_at=None, stopped_at=NOW),
    "transcript_has_one_segment_at_a_position": lambda good: copy(good.segment),
    "segment_ends_after_it_starts": lambda good: change(good.segment, end_s=-1),
    "segment_confidence_is_a_share": lambda good: change(good.segment, confidence=2),
    "segment_edit_has_a_time_and_an_author_or_neither": lambda good: change(good.segment, edited_at=NOW),
    # what we say
    "sending_is_a_text_or_a_template": lambda good: change(good.sending, template={"name": "hello"}),
    "sending_purpose_is_known": lambda good: change(good.sending, purpose="gossip"),
    "sending_is_accepted_only_once_tried": lambda good: change(good.sending, tried_at=None),
    "accepted_sending_has_an_id_and_a_place_in_its_chat": lambda good: change(good.sending, provider_id=None),
    "sending_is_known_by_its_id_once": lambda good: copy(
        good.sending, message=good.other_message, answers=None
    ),
    "acervo_sending_message_id_key": lambda good: copy(good.sending, provider_id="another", answers=None),
    "sending_arrives_only_once_accepted": lambda good: change(good.queued, read_at=NOW),
    "sending_did_not_both_arrive_and_fail": lambda good: change(
        good.sending, delivered_at=NOW, failed_at=NOW, refusal="not_delivered", refused_at=NOW
    ),
    "sending_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(good.sending, refused_at=NOW),
    "failed_sending_says_why": lambda good: change(good.sending, failed_at=NOW),
    "message_is_told_once_that_its_file_was_not_taken": lambda good: change(
        good.queued, answers=good.sending.answers
    ),
    "sending_is_repeated_once": lambda good: copy(good.repeated),
    "early_status_is_heard_once": lambda good: copy(good.early),
    "consent_is_given_or_refused_but_not_both": lambda good: change(good.consent, refused_at=NOW),
    "acervo_consentanswer_message_id_key": lambda good: copy(good.consent),
    # the CRM
    "link_is_of_a_person_or_of_a_file": lambda good: change(good.person_link, media=good.kept),
    "person_has_one_record_of_a_type_in_a_crm": lambda good: copy(good.person_link),
    "file_has_one_record_of_a_type_in_a_crm": lambda good: copy(good.file_link),
    "untying_has_a_time_and_an_author_or_neither": lambda good: change(good.file_link, untie_asked_at=NOW),
    "only_a_file_is_untied": lambda good: change(good.person_link, untie_asked_at=NOW, untie_asked_by="test"),
    "connection_repairs_are_known": lambda good: change(good.connection, repairs="never"),
    "connection_ties_files_to_what_is_known": lambda good: change(good.connection, ties_to=["company"]),
    # people and records in the CRMs
    "person_is_decided_about_once_in_a_crm": lambda good: copy(good.decision),
    "contact_decision_is_known": lambda good: change(good.decision, verdict="guessed"),
    "contact_decision_names_a_record_or_leaves_the_person_out": lambda good: change(
        good.decision, record_id=None
    ),
    "contact_decision_undo_has_a_time_and_an_author_or_neither": lambda good: change(
        good.decision, undone_at=NOW
    ),
    "contact_decision_is_taken_out_once_it_was_undone": lambda good: change(good.decision, taken_out_at=NOW),
    "crm_is_reconciled_by_one_pass_at_a_time": lambda good: copy(good.reconciliation),
    "reconciliation_finds_no_more_intact_than_it_looked_at": lambda good: change(
        good.reconciliation, intact=1
    ),
    "file_has_one_open_discrepancy_in_a_crm": lambda good: copy(good.discrepancy),
    "discrepancy_fault_is_known": lambda good: change(good.discrepancy, fault="odd"),
    "discrepancy_is_settled_by_somebody_somehow_or_open": lambda good: change(
        good.discrepancy, settled_at=NOW
    ),
    "file_is_promised_to_a_crm_once": lambda good: copy(good.delivery),
    "delivery_is_not_both_kept_and_stopped": lambda good: change(
        good.delivery, delivered_at=NOW, stopped_at=NOW
    ),
    "delivery_refusal_has_a_time_and_a_reason_or_neither": lambda good: change(good.delivery, refused_at=NOW),
}


@pytest.fixture(scope="module")
def standing(django_db_setup: None, django_db_blocker: Any) -> Iterator[SimpleNamespace]:
    """`good`, made once: each test begins behind it, and ends with going back to where it began."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield _good()
        transaction.set_rollback(True)


@pytest.fixture
def good(standing: SimpleNamespace, db: None) -> SimpleNamespace:
    """Rows to break, which no test writes through these objects."""
    return standing


def _good() -> SimpleNamespace:
    """One row of everything, each beyond reproach."""
    workspace = Workspace.objects.create(name="Telecom Aurora")
    bob = make_member(workspace, "Bob", Role.AGENT)
    connection = make_connection(workspace, "meta_cloud")
    kept, awaited = keep(make_file(connection), b"OggS not really a voice note"), make_file(connection)
    crm = make_connection(workspace, "hubspot", account_id="26000001")
    AuditEntry.objects.record(workspace.pk, "test", [Deed("file.kept", "file", kept.pk)])
    link = {
        "workspace": workspace,
        "connection": crm,
        "record_id": "1",
        "reason": "chosen",
        "linked_by": "test",
    }
    promise = {"workspace": workspace, "connection": crm, "media": kept, "promised_at": NOW, "due_at": NOW}
    an_import = {
        "workspace": workspace,
        "connection": connection,
        "person": kept.person,
        "time_zone": "UTC",
        "total": 1,
        "asked_by": "test",
    }
    transcript = Transcript.objects.create(
        workspace=workspace, media=kept, asked_by="test", made_at=NOW, engine="openai"
    )
    hook = Subscription.objects.create(
        workspace=workspace, name="Zapier", url="https://hooks.example.com", events=["media.ready"],
        sealed_secrets=b"sealed", created_by="test",
    )  # fmt: skip
    event = Event.objects.create(workspace=workspace, kind="media.ready", at=NOW, subject_id=kept.pk)
    telling = EventDelivery.objects.create(subscription=hook, event=event, promised_at=NOW, due_at=NOW)
    wish = {
        "workspace": workspace,
        "connection": connection,
        "chat": kept.chat,
        "purpose": "file_not_taken",
        "text": "oi",
        "asked_at": NOW,
        "asked_by": "test",
        "due_at": NOW,
    }
    crm_pass = Reconciliation.objects.create(
        workspace=workspace, connection=crm, began_at=NOW, asked_by="test"
    )
    sending = Sending.objects.create(
        answers=kept.message,
        tried_at=NOW,
        accepted_at=NOW,
        provider_id="sent",
        message=awaited.message,
        **wish,
    )
    early = {"provider_id": "sent", "status": "read", "at": NOW, "heard_at": NOW}
    bytes_of_it = PLACE | {"object_key": "w/one", "size_bytes": 1, "sealed_bytes": 1, "sha256": "0" * 64}
    workspace.refresh_from_db()
    setup = Setup.objects.create(workspace=workspace, kind="bird", begun_by="test")
    api_token = ApiToken.objects.create(
        workspace=workspace,
        member=bob,
        name="n8n",
        prefix="acv_x",
        token_sha256="0" * 64,
        scopes=["media:read"],
    )
    tag = Tag.objects.create(workspace=workspace, name="defeito", made_by="test")
    agent = EmbedAgent.objects.create(workspace=workspace, connection=connection, agent_id="7", seen_at=NOW)
    return SimpleNamespace(
        api_token=api_token,
        kept_answer=KeptAnswer.objects.create(token=api_token, key="1", request_sha256="0" * 64, at=NOW),
        tag=tag,
        file_tag=FileTag.objects.create(media=kept, tag=tag, by="test"),
        mapping=MappingVersion.objects.create(
            workspace=workspace,
            connection=connection,
            number=1,
            rules={},
            reason="a first try",
            made_by="test",
        ),
        crm_setup=CrmSetup.objects.create(connection=connection, begun_by="test"),
        setup=setup,
        other_setup=Setup.objects.create(workspace=workspace, kind="bird", begun_by="test"),
        setup_link=SetupLink.objects.create(
            setup=setup, step="access", token_sha256="0" * 64, made_by="test", expires_at=NOW
        ),
        workspace=workspace,
        bob=bob,
        team=Team.objects.create(workspace=workspace, name="Suporte"),
        entry=AuditEntry.objects.get(workspace_id=workspace.pk),
        connection=connection,
        account_event=AccountEvent.objects.create(
            workspace=workspace,
            connection=connection,
            key="0" * 64,
            type="account_update",
            severity="critical",
            at=NOW,
            received_at=NOW,
        ),
        probe=Probe.objects.create(workspace=workspace, connection=connection, asked_at=NOW, asked_by="test"),
        embed=Embed.objects.create(connection=connection, changed_by="test"),
        embed_key=EmbedKey.objects.create(connection=connection, token_sha256="0" * 64, made_by="test"),
        embed_agent=agent,
        embed_session=EmbedSession.objects.create(
            workspace=workspace,
            connection=connection,
            agent=agent,
            proof_sha256="1" * 64,
            code_sha256="2" * 64,
            token_sha256="3" * 64,
            opened_at=NOW,
            expires_at=NOW,
            ends_at=NOW,
        ),
        person=kept.person,
        phone=PersonIdentifier.objects.get(person=kept.person),
        data_key=DataKey.objects.get(person=kept.person),
        chat=Chat.objects.get(pk=kept.chat_id),
        message=Message.objects.get(pk=kept.message_id),
        chat_import=ChatImport.objects.create(archive_sha256="0" * 64, **an_import),
        other_import=ChatImport.objects.create(archive_sha256="1" * 64, **an_import),
        kept=kept,
        awaited=awaited,
        rendition=Rendition.objects.create(
            media=kept,
            kind="thumb_320",
            mime="image/webp",
            made_at=NOW,
            **bytes_of_it | {"sealing": "storage"},
        ),
        unmade=UnmadeRendition.objects.create(media=kept, kind="mp3", reason="not_smaller", tried_at=NOW),
        policy=MediaPolicy.objects.create(workspace=workspace, changed_by="test"),
        size_limit=SizeLimit.objects.create(
            workspace=workspace, kind="video", max_bytes=1, changed_by="test"
        ),
        backfill=Backfill.objects.create(workspace=workspace, connection=connection, asked_by="test"),
        remake=Remake.objects.create(workspace=workspace, asked_by="test"),
        transcriber=Transcriber.objects.create(workspace=workspace, engine="openai", changed_by="test"),
        transcript=transcript,
        segment=TranscriptSegment.objects.create(
            transcript=transcript, position=0, start_s=0, end_s=1, text="oi"
        ),
        person_link=RecordLink.objects.create(
            person=kept.person, object_type="contact", linked_at=NOW, **link
        ),
        file_link=RecordLink.objects.create(media=kept, object_type="media", linked_at=NOW, **link),
        delivery=Delivery.objects.create(**promise),
        hook=hook,
        event=event,
        telling=telling,
        call=EventTry.objects.create(delivery=telling, at=NOW, took_ms=12, code="ok", http_status=204),
        upload=CrmUpload.objects.create(
            workspace=workspace, connection=crm, media=kept, asked_at=NOW, asked_by="test", due_at=NOW
        ),
        decision=ContactDecision.objects.create(
            workspace=workspace,
            connection=crm,
            person=kept.person,
            verdict="chosen",
            record_id="1",
            stopped_because="ambiguous",
            decided_at=NOW,
            decided_by="test",
        ),
        reconciliation=crm_pass,
        discrepancy=Discrepancy.objects.create(
            workspace=workspace,
            connection=crm,
            media=kept,
            reconciliation=crm_pass,
            fault="drifted",
            found_at=NOW,
        ),
        sending=sending,
        queued=Sending.objects.create(**wish),
        repeated=Sending.objects.create(repeats=sending, **wish),
        other_message=make_file(connection).message,
        early=EarlyStatus.objects.create(workspace=workspace, connection=connection, **early),
        consent=ConsentAnswer.objects.create(
            workspace=workspace, person=kept.person, sending=sending, message=kept.message, given_at=NOW
        ),
    )


@pytest.mark.parametrize("name", BREAKS)
def test_the_database_refuses(good: SimpleNamespace, name: str) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        BREAKS[name](good)
    assert name in str(refused.value)


@pytest.mark.django_db
def test_no_constraint_of_the_database_is_untested() -> None:
    """The database is asked, not the models: constraints written as SQL count too. Constraints that Django names
    itself (`acervo_…`) are a field's own kind; those of many-to-many tables keep pairs apart."""
    ours = {name for name in _named_in_the_database() if not name.startswith("acervo_")}
    assert ours == {name for name in BREAKS if not name.startswith("acervo_")}


def test_every_constraint_of_the_models_is_named_as_a_sentence() -> None:
    for model in apps.get_app_config("acervo").get_models():
        for constraint in model._meta.constraints:
            assert isinstance(constraint, CheckConstraint | UniqueConstraint)
            assert len(constraint.name.split("_")) >= 3, f"{constraint.name} is no sentence"


def test_every_moment_with_an_author_is_held_to_both() -> None:
    """`removed_at` without `removed_by` is half a fact: a CHECK ties them, or neither may be missing."""
    for model in apps.get_app_config("acervo").get_models():
        fields = {field.name: field for field in model._meta.fields}
        checked = [str(c.condition) for c in model._meta.constraints if isinstance(c, CheckConstraint)]
        for name in fields:
            author = name.removesuffix("_at") + "_by"
            if not name.endswith("_at") or author not in fields:
                continue
            if not fields[name].null and not fields[author].null:
                continue
            assert any(name in text and author in text for text in checked), f"{model.__name__}.{name}"


def _named_in_the_database() -> set[str]:
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
            WHERE relname LIKE 'acervo\\_%' AND contype IN ('c', 'u', 'x')
            UNION
            SELECT index.relname FROM pg_index JOIN pg_class index ON index.oid = indexrelid
            JOIN pg_class tab ON tab.oid = indrelid
            WHERE tab.relname LIKE 'acervo\\_%' AND indisunique AND NOT indisprimary
            """
        )
        return {row[0] for row in cursor.fetchall()}
