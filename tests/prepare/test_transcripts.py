"""What was said, written down once, by whoever answers: asked, refused, tried again, paused, corrected, found."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from acervo import journey
from acervo.base import clock, ids
from acervo.base.errors import TryLater
from acervo.base.sealed import SealedElsewhere
from acervo.govern import transcribers as govern
from acervo.govern.connections import PrivateHost
from acervo.govern.transcribers import Choice, KeyForAnother
from acervo.keep import credentials
from acervo.models import (
    AuditEntry,
    ChatImport,
    MediaFile,
    Message,
    Transcriber,
    Transcript,
    TranscriptEdit,
    TranscriptSegment,
)
from acervo.organise import search
from acervo.organise.search import Wish
from acervo.prepare import corrections, hearing, transcripts, unheard
from acervo.prepare.corrections import ChangedMeanwhile, TooLong
from acervo.prepare.transcripts import HasCorrections, NotConfigured, NothingToHear
from acervo.transcribers.contract import (
    EngineAway,
    KeyRefused,
    RateLimited,
    SoundRefused,
    UnusableAnswer,
)
from acervo.transcribers.fake.adapter import SCRIPTS, Script
from sandbox import samples
from sandbox.transcription import MODEL, Fault, TranscriptionServer
from tests.conftest import make_person

pytestmark = pytest.mark.django_db(transaction=True)

VOICE = samples.read("voz-roteador.ogg")[0]
SECRET = "sk-canary-71c2"


@pytest.fixture
def script() -> Script:
    SCRIPTS["a-model"] = Script()
    return SCRIPTS["a-model"]


@pytest.fixture
def transcriber(workspace, script) -> Transcriber:
    return Transcriber.objects.create(workspace=workspace, engine="fake", model="a-model", changed_by="test")


def asked(media) -> Transcript:
    return Transcript.objects.create(workspace_id=media.workspace_id, media=media, asked_by="test")


def agrees(*_: Any) -> bool:
    return True


async def hear(row: Transcript, *, may_i: Any = agrees, is_last_try: bool = False) -> Transcript:
    await transcripts.transcribe(row.pk, may_i, is_last_try=is_last_try)
    return await Transcript.objects.select_related("media").aget(pk=row.pk)


async def made(kept_file, **facts: Any) -> Transcript:
    media = await sync_to_async(kept_file)(VOICE, **facts)
    return await hear(await sync_to_async(asked)(media))


def jobs() -> list[dict[str, Any]]:
    from procrastinate.contrib.django.models import ProcrastinateJob

    return list(ProcrastinateJob.objects.filter(task_name="acervo:transcribe").order_by("id").values())


# ── asking ──


@pytest.mark.parametrize(
    ("facts", "is_wanted"),
    [
        ({}, True),
        ({"kind": "audio", "mime": "audio/mpeg"}, True),
        ({"kind": "video", "mime": "video/mp4"}, True),
        ({"kind": "document", "mime": "audio/mpeg"}, True),
        ({"kind": "image", "mime": "image/jpeg", "duration_s": None}, False),
        ({"kind": "document", "mime": "application/pdf", "duration_s": None}, False),
        ({"duration_s": 1801.0}, False),
        ({"duration_s": 0.0}, False),
    ],
)
def test_what_arrives_with_a_voice_is_asked_for(facts, is_wanted, transcriber, kept_file):
    media = kept_file(**facts)
    found = transcripts.ask_automatically([media.pk])
    assert bool(found) is is_wanted
    assert list(Transcript.objects.values_list("pk", flat=True)) == found


def from_an_export(media) -> ChatImport:
    at = clock.now()
    run = ChatImport.objects.create(
        workspace=media.workspace, connection=media.connection, person=media.person, archive_sha256="ab" * 32,
        time_zone="UTC", date_order="dmy", started_at=at, finished_at=at, asked_by="test",
    )  # fmt: skip
    Message.objects.filter(pk=media.message_id).update(chat_import=run)
    return run


def test_what_comes_from_an_old_chat_is_heard_only_when_somebody_asks(transcriber, kept_file):
    media, arrived = kept_file(), kept_file()
    run = from_an_export(media)
    assert len(transcripts.ask_automatically([media.pk, arrived.pk])) == 1
    assert not Transcript.objects.filter(media=media).exists()
    assert journey.transcribe_import(run, "test") == 1
    assert journey.transcribe_import(run, "test") == 0
    assert Transcript.objects.filter(media=media).exists()


async def test_what_is_asked_for_before_it_is_prepared_waits_and_what_has_no_sound_ends(
    transcriber, kept_file
):
    media = await sync_to_async(kept_file)(VOICE, kind="video")
    run = await sync_to_async(from_an_export)(media)
    await MediaFile.objects.aupdate(prepared_at=None, mime=None, duration_s=None)
    assert await sync_to_async(journey.transcribe_import)(run, "test") == 1
    assert await sync_to_async(unheard.waiting)(10) == []
    row = await hear(await Transcript.objects.aget())
    assert (row.attempts, row.state) == (0, "waiting")
    facts = {"mime": "video/mp4", "video_codec": "h264", "audio_codec": None, "duration_s": 3.0}
    await MediaFile.objects.aupdate(prepared_at=clock.now(), **facts)
    assert await sync_to_async(unheard.waiting)(10) == [row.pk]
    row = await hear(row)
    assert (row.state, row.refusal) == ("stopped", "nothing_to_hear")


def test_nobody_listens_to_an_old_chat_without_an_engine(kept_file):
    with pytest.raises(NotConfigured):
        journey.transcribe_import(from_an_export(kept_file()), "test")


def test_a_film_without_a_sound_track_is_not_asked_for(transcriber, kept_file):
    media = kept_file(kind="video", mime="video/mp4")
    MediaFile.objects.filter(pk=media.pk).update(video_codec="h264", audio_codec=None)
    assert transcripts.ask_automatically([media.pk]) == []


def test_nothing_is_asked_for_before_somebody_chose_an_engine(kept_file):
    assert transcripts.ask_automatically([kept_file().pk]) == []


def test_nothing_is_asked_for_by_itself_where_people_want_to_ask(transcriber, kept_file):
    Transcriber.objects.update(is_automatic=False)
    assert transcripts.ask_automatically([kept_file().pk]) == []


def test_a_file_is_asked_for_once(transcriber, kept_file):
    media = kept_file()
    first = transcripts.ask_automatically([media.pk])
    assert transcripts.ask_automatically([media.pk]) == []
    assert Transcript.objects.count() == len(first) == 1


def test_what_nobody_may_open_is_not_listened_to(transcriber, kept_file):
    media = kept_file()
    MediaFile.objects.filter(pk=media.pk).update(held_at=clock.now())
    assert transcripts.ask_automatically([media.pk]) == []
    with pytest.raises(NothingToHear):
        transcripts.ask(media, "test")


def test_the_engine_of_another_workspace_hears_nothing_of_ours(other_workspace, kept_file):
    Transcriber.objects.create(workspace=other_workspace, engine="fake", model="x", changed_by="test")
    assert transcripts.ask_automatically([kept_file().pk]) == []


def test_asking_by_hand_needs_an_engine_and_a_sound(kept_file, transcriber):
    with pytest.raises(NothingToHear):
        transcripts.ask(kept_file(kind="image", mime="image/png", duration_s=None), "test")
    Transcriber.objects.all().delete()
    with pytest.raises(NotConfigured):
        transcripts.ask(kept_file(), "test")


def test_a_prepared_file_comes_to_the_engine_in_the_same_transaction(transcriber, kept_file):
    media = kept_file()
    with transaction.atomic():
        journey._prepared(media.pk)
    row = Transcript.objects.get()
    assert [job["args"] for job in jobs()] == [{"transcript": str(row.pk)}]


def test_asking_twice_waits_once(transcriber, kept_file, alice):
    media = kept_file()
    for _ in range(3):
        journey.ask_transcript(media, "member:x")
    assert len(jobs()) == 1
    assert AuditEntry.objects.filter(action="transcript.asked").count() == 1


# ── hearing ──


async def test_what_was_said_is_written_down_with_times_and_certainty(transcriber, kept_file):
    row = await made(kept_file)
    assert (row.state, row.engine, row.model, row.language) == ("made", "fake", "a-model", "pt")
    assert row.text == "Bom dia\na entrega não chegou"
    segments = [one async for one in row.segments.all()]
    assert [(one.position, one.start_s, one.end_s, one.confidence) for one in segments] == [
        (0, 0.0, 1.0, 0.9),
        (1, 1.0, 2.0, 0.4),
    ]
    entry = await AuditEntry.objects.aget(action="transcript.made")
    assert (entry.subject_id, entry.reason, entry.details) == (
        row.media_id,
        "fake",
        {"segments": 2, "attempts": 1},
    )


async def test_open_pages_learn_of_it(transcriber, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    await hear(await sync_to_async(asked)(media))
    after = await MediaFile.objects.aget(pk=media.pk)
    assert after.changed_at > media.changed_at


async def test_hearing_twice_writes_once(transcriber, script, kept_file):
    row = await made(kept_file)
    await hear(row)
    assert await TranscriptSegment.objects.acount() == 2
    assert len(script.heard) == 1


async def test_of_two_workers_with_the_same_file_one_writes(transcriber, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    row = await sync_to_async(asked)(media)
    one = await sync_to_async(hearing.begin)(row.pk, agrees)
    other = await sync_to_async(hearing.begin)(row.pk, agrees)
    heard = await transcripts._hear(one)
    await sync_to_async(hearing.commit)(one, heard)
    await sync_to_async(hearing.commit)(other, heard)
    assert await TranscriptSegment.objects.acount() == 2
    assert await AuditEntry.objects.filter(action="transcript.made").acount() == 1


async def test_a_silent_recording_has_a_transcript_without_words(transcriber, script, kept_file):
    script.says = ()
    row = await made(kept_file)
    assert (row.state, row.text) == ("made", "")
    assert await sync_to_async(transcripts.captions)(row.media_id) is None


async def test_nobody_listens_to_a_person_who_did_not_agree(transcriber, script, kept_file):
    said = []

    def refuses(*asked: Any) -> bool:
        said.append(asked)
        return False

    media = await sync_to_async(kept_file)(VOICE)
    row = await hear(await sync_to_async(asked)(media), may_i=refuses)
    assert said == [(media.workspace_id, media.person_id, "transcribe")]
    assert (row.state, row.refusal) == ("stopped", "no_consent")
    assert script.heard == []
    assert await sync_to_async(unheard.tally)(media.workspace_id) == unheard.Tally(0, 0, 0)


async def test_without_an_engine_it_stops_and_says_so(workspace, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    row = await hear(await sync_to_async(asked)(media))
    assert (row.state, row.refusal) == ("stopped", "not_configured")


@pytest.mark.parametrize(
    "error", [EngineAway(), RateLimited(after_s=7.0), UnusableAnswer()], ids=lambda e: e.code
)
async def test_what_the_clock_helps_is_tried_again_and_shown(error, transcriber, script, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    row = await sync_to_async(asked)(media)
    script.troubles = [error]
    with pytest.raises(TryLater) as raised:
        await hear(row)
    assert raised.value.after_s == (7.0 if error.code == "rate_limited" else 4.0)
    row = await Transcript.objects.aget(pk=row.pk)
    assert (row.state, row.refusal, row.attempts) == ("trying", error.code, 1)
    row = await hear(row)
    assert (row.state, row.refusal, row.attempts) == ("made", None, 2)


async def test_an_engine_that_is_away_for_a_day_is_given_up(transcriber, script, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    row = await sync_to_async(asked)(media)
    await Transcript.objects.aupdate(attempts=hearing.MOST_ATTEMPTS - 1)
    script.troubles = [EngineAway()]
    row = await hear(row)
    assert (row.state, row.refusal) == ("stopped", "engine_away")
    assert await AuditEntry.objects.filter(action="transcript.stopped", reason="engine_away").acount() == 1


async def test_an_engine_that_asks_for_patience_gets_it_for_ever(transcriber, script, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    row = await sync_to_async(asked)(media)
    await Transcript.objects.aupdate(attempts=10 * hearing.MOST_ATTEMPTS)
    script.troubles = [RateLimited(after_s=3.0)]
    with pytest.raises(RateLimited):
        await hear(row, is_last_try=True)


@pytest.mark.parametrize("error", [SoundRefused(), UnusableAnswer()], ids=lambda e: e.code)
async def test_what_is_this_file_s_fault_ends_with_a_reason(error, transcriber, script, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    script.troubles = [error]
    row = await hear(await sync_to_async(asked)(media), is_last_try=True)
    assert (row.state, row.refusal) == ("stopped", error.code)
    assert (await Transcriber.objects.aget()).paused_at is None


async def test_a_refused_key_pauses_the_engine_instead_of_burning_every_file(transcriber, script, kept_file):
    media = [await sync_to_async(kept_file)(VOICE) for _ in range(3)]
    rows = [await sync_to_async(asked)(one) for one in media]
    script.troubles = [KeyRefused()]
    states = [(await hear(row)).state for row in rows]
    assert states == ["trying", "waiting", "waiting"]
    assert len(script.heard) == 1
    engine = await Transcriber.objects.aget()
    assert engine.pause_reason == "key_refused"
    assert await AuditEntry.objects.filter(action="transcriber.paused", reason="key_refused").acount() == 1


async def test_what_waited_goes_on_once_the_engine_is_put_right(transcriber, script, kept_file, workspace):
    media = [await sync_to_async(kept_file)(VOICE) for _ in range(2)]
    rows = [await sync_to_async(asked)(one) for one in media]
    await sync_to_async(govern.pause)(workspace.pk, "member:x")
    assert await sync_to_async(unheard.waiting)(10) == []
    await sync_to_async(journey.resume_transcripts)(workspace.pk, "member:x")
    assert {job["args"]["transcript"] for job in await sync_to_async(jobs)()} == {str(row.pk) for row in rows}
    assert [(await hear(row)).state for row in rows] == ["made", "made"]


async def test_settings_changed_in_the_meantime_are_not_judged_by_old_work(transcriber, kept_file):
    media = await sync_to_async(kept_file)(VOICE)
    work = await sync_to_async(hearing.begin)((await sync_to_async(asked)(media)).pk, agrees)
    await sync_to_async(transcriber.save)()  # somebody pasted a new key just now
    await sync_to_async(hearing.settle)(work, KeyRefused(), is_last_try=False)
    assert (await Transcriber.objects.aget()).paused_at is None


async def test_a_key_sealed_elsewhere_pauses_too(transcriber, kept_file):
    await Transcriber.objects.aupdate(sealed_secrets=b"\x01\x04nope" + bytes(60))
    row = await made(kept_file)
    assert row.state == "trying"
    assert (await Transcriber.objects.aget()).pause_reason == SealedElsewhere.code


async def test_our_own_fault_is_shown_and_not_repeated_for_ever(transcriber, kept_file, monkeypatch):
    async def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(transcripts, "listen", breaks)
    media = await sync_to_async(kept_file)(VOICE)
    row = await sync_to_async(asked)(media)
    for _ in range(hearing.MOST_FAULTS):
        with pytest.raises(RuntimeError):
            await hear(row)
    row = await Transcript.objects.aget(pk=row.pk)
    assert (row.state, row.refusal) == ("stopped", "error")


async def test_how_far_a_long_recording_has_come_is_written_down(transcriber, kept_file, monkeypatch):
    import asyncio

    monkeypatch.setattr(transcripts, "PROGRESS_EVERY_S", 0.01)
    seen = []

    async def slowly(media: Any, engine: Any, *, language: str, on_progress: Any) -> Any:
        on_progress(3.5)
        while not (now := await Transcript.objects.aget()).heard_s:
            await asyncio.sleep(0.01)
        seen.append(now.heard_s)
        raise EngineAway()

    monkeypatch.setattr(transcripts, "listen", slowly)
    media = await sync_to_async(kept_file)(VOICE)
    with pytest.raises(EngineAway):
        await hear(await sync_to_async(asked)(media))
    assert seen == [3.5]


# ── a server over HTTP ──


@pytest.fixture
async def server():
    async with TranscriptionServer(key=SECRET) as started:
        yield started


@pytest.fixture
def over_http(workspace, server, settings) -> Transcriber:
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ("127.0.0.1",)
    choice = Choice("openai", MODEL, api_base=server.base_url, secrets={"key": SECRET})
    return govern.configure(workspace.pk, choice, "member:x")


async def test_a_server_s_sentences_stand_along_the_recording(over_http, server, kept_file):
    row = await made(kept_file, duration_s=8.0)
    segments = [one async for one in row.segments.all()]
    assert row.state == "made"
    assert [one.text for one in segments][1] == "A luz vermelha do roteador continua piscando."
    assert 0 < segments[-1].end_s <= 8.0
    assert server.uploads[0].size_bytes == len(VOICE)


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (Fault("status", status=500), "trying", "engine_away"),
        (Fault("status", status=429, retry_after="9"), "trying", "rate_limited"),
        (Fault("nonsense"), "trying", "unusable_answer"),
        (Fault("status", status=401), "trying", "key_refused"),
        (Fault("status", status=413), "stopped", "sound_too_large"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value,
)
async def test_a_server_s_troubles_are_told_and_its_secret_never(
    fault, state, reason, over_http, server, kept_file, caplog
):
    server.faults.add(fault)
    media = await sync_to_async(kept_file)(VOICE, caption="canary-caption")
    row = await sync_to_async(asked)(media)
    with caplog.at_level(logging.DEBUG):
        try:
            await hear(row)
        except TryLater as error:
            caplog.text_of_error = str(error)
    row = await Transcript.objects.aget(pk=row.pk)
    assert (row.state, row.refusal) == (state, reason)
    told = (
        caplog.text + str([vars(record) for record in caplog.records]) + getattr(caplog, "text_of_error", "")
    )
    for hidden in (SECRET, "canary-caption", "+15555550142", "roteador", "voz-"):
        assert hidden not in told
    for entry in [entry async for entry in AuditEntry.objects.all()]:
        assert SECRET not in f"{entry.reason} {entry.details}"


async def test_trying_an_engine_shows_what_it_hears_and_writes_nothing(over_http, server):
    heard = await transcripts.try_out(over_http)
    assert heard.segments
    assert await Transcript.objects.acount() == 0
    server.faults.add(Fault("status", status=401))
    with pytest.raises(KeyRefused):
        await transcripts.try_out(over_http)


# ── the engine of a workspace ──


def test_a_key_is_sealed_bound_to_its_workspace_and_opened_again(workspace, other_workspace, settings):
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ()
    row = govern.configure(
        workspace.pk,
        Choice("openai", MODEL, "https://api.example.com/v1", secrets={"key": SECRET}),
        "member:x",
    )
    assert SECRET.encode() not in bytes(Transcriber.objects.get().sealed_secrets)
    assert credentials.open_engine_secrets(Transcriber.objects.get()) == {"key": SECRET}
    row.workspace = other_workspace
    with pytest.raises(SealedElsewhere):
        credentials.open_engine_secrets(row)


def test_an_empty_field_keeps_the_key_and_another_address_does_not_get_it(workspace):
    first = Choice("openai", MODEL, "https://api.example.com/v1", secrets={"key": SECRET})
    govern.configure(workspace.pk, first, "member:x")
    govern.configure(workspace.pk, Choice("openai", "another", "https://api.example.com/v1"), "member:x")
    assert credentials.open_engine_secrets(Transcriber.objects.get()) == {"key": SECRET}
    with pytest.raises(KeyForAnother):
        govern.configure(workspace.pk, Choice("openai", MODEL, "https://api.example.org/v1"), "member:x")
    assert Transcriber.objects.get().model == "another"
    govern.configure(
        workspace.pk, Choice("openai", MODEL, "https://api.example.org/v1", is_without_key=True), "member:x"
    )
    assert credentials.open_engine_secrets(Transcriber.objects.get()) == {}


def test_an_address_in_a_private_network_must_be_named_by_the_operator(workspace, settings):
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ()
    for address in ("http://127.0.0.1:9000", "https://10.0.0.7/v1", "http://api.example.com/v1"):
        with pytest.raises(PrivateHost):
            govern.configure(workspace.pk, Choice("openai", MODEL, address), "member:x")
    assert not Transcriber.objects.exists()


def test_every_change_of_the_engine_is_written_down_without_its_values(workspace):
    choice = Choice("openai", MODEL, "https://api.example.com/v1", secrets={"key": SECRET})
    govern.configure(workspace.pk, choice, "member:x")
    govern.configure(
        workspace.pk, Choice("openai", "large", "https://api.example.com/v1", language="pt"), "member:x"
    )
    govern.pause(workspace.pk, "member:x")
    govern.pause(workspace.pk, "member:x")
    govern.resume(workspace.pk, "member:x")
    govern.remove(workspace.pk, "member:x")
    told = list(AuditEntry.objects.order_by("number").values_list("action", "reason"))
    assert told == [
        ("transcriber.configured", ""),
        ("transcriber.configured", "model,language"),
        ("transcriber.paused", "by_hand"),
        ("transcriber.resumed", ""),
        ("transcriber.removed", ""),
    ]


def test_configuring_a_paused_engine_lets_it_go_on(workspace, transcriber):
    govern.pause(workspace.pk, "member:x")
    govern.configure(workspace.pk, Choice("fake", "a-model"), "member:x")
    assert Transcriber.objects.get().paused_at is None


# ── what is here already ──


def test_files_without_a_transcript_are_counted_and_asked_for(workspace, transcriber, kept_file):
    for _ in range(3):
        kept_file()
    kept_file(kind="image", mime="image/png", duration_s=None)
    given_up = asked(kept_file())
    Transcript.objects.filter(pk=given_up.pk).update(
        stopped_at=clock.now(), refusal="engine_away", refused_at=clock.now()
    )
    assert unheard.tally(workspace.pk) == unheard.Tally(without=4, waiting=0, made=0)
    assert journey.transcribe_all(workspace.pk, "member:x") == 4
    assert unheard.tally(workspace.pk) == unheard.Tally(without=0, waiting=4, made=0)
    assert journey.transcribe_all(workspace.pk, "member:x") == 0
    assert len(unheard.waiting(10)) == 4


def test_the_clock_sends_what_nobody_works_on_and_no_more(workspace, transcriber, kept_file):
    rows = [asked(kept_file()) for _ in range(3)]
    journey.start_waiting_transcripts(2, busy=[rows[0].pk])
    assert {job["args"]["transcript"] for job in jobs()} == {str(rows[1].pk), str(rows[2].pk)}
    journey.start_waiting_transcripts(10)
    assert len(jobs()) == 3


def test_what_arrives_goes_before_what_is_here_already(workspace, transcriber, kept_file):
    asked(kept_file())
    journey.start_waiting_transcripts(10)
    media = kept_file()
    journey.start_transcripts(transcripts.ask_automatically([media.pk]))
    journey.ask_transcript(kept_file(), "member:x")
    assert [job["priority"] for job in jobs()] == [0, 10, 20]


# ── corrections ──


@pytest.fixture
async def spoken(transcriber, kept_file) -> Transcript:
    return await made(kept_file)


def second_of(row: Transcript) -> TranscriptSegment:
    return row.segments.get(position=1)


def test_a_correction_is_kept_with_what_stood_there_before(spoken):
    one = second_of(spoken)
    corrections.correct(one.pk, "  a encomenda   não chegou\n", "member:x", seen="a entrega não chegou")
    one.refresh_from_db()
    spoken.refresh_from_db()
    assert (one.text, one.confidence, one.edited_by) == ("a encomenda não chegou", None, "member:x")
    assert spoken.text == "Bom dia\na encomenda não chegou"
    assert spoken.edited_at == one.edited_at
    edit = TranscriptEdit.objects.get()
    assert (edit.before, edit.after, edit.by) == (
        "a entrega não chegou",
        "a encomenda não chegou",
        "member:x",
    )
    entry = AuditEntry.objects.get(action="transcript.corrected")
    assert entry.details == {"segment": ids.text(one.pk), "position": 1}
    assert "encomenda" not in f"{entry.reason} {entry.details}"


def test_a_corrected_word_is_found_and_the_wrong_one_no_longer(spoken, alice):
    def found(text: str) -> int:
        return search.found(alice, Wish(text=text)).count()

    assert (found("entrega"), found("encomenda")) == (1, 0)
    corrections.correct(second_of(spoken).pk, "a encomenda não chegou", "member:x")
    assert (found("entrega"), found("encomenda")) == (0, 1)
    assert found("encomendas") == found("ENCOMENDA") == found("encom") == 1
    assert found("nao") == 1
    assert found("dia encomenda") == 1
    assert found("dia entrega") == 0


def test_a_correction_over_somebody_else_s_is_refused(spoken):
    one = second_of(spoken)
    corrections.correct(one.pk, "a encomenda não chegou", "member:x", seen=one.text)
    with pytest.raises(ChangedMeanwhile):
        corrections.correct(one.pk, "o pedido não chegou", "member:y", seen=one.text)
    assert second_of(spoken).text == "a encomenda não chegou"
    assert TranscriptEdit.objects.count() == 1


def test_saving_what_stands_there_changes_nothing(spoken):
    one = second_of(spoken)
    corrections.correct(one.pk, f" {one.text} ", "member:x", seen=one.text)
    assert not TranscriptEdit.objects.exists()
    assert second_of(spoken).confidence == 0.4


def test_a_passage_in_which_nothing_is_said_can_be_emptied(spoken):
    corrections.correct(second_of(spoken).pk, "", "member:x")
    spoken.refresh_from_db()
    assert spoken.text == "Bom dia"
    assert transcripts.captions(spoken.media_id).count("-->") == 1


def test_a_whole_book_is_no_passage(spoken):
    with pytest.raises(TooLong):
        corrections.correct(second_of(spoken).pk, "a" * 5001, "member:x")


def test_a_passage_that_is_gone_cannot_be_corrected(spoken):
    one = second_of(spoken)
    transcripts.ask(spoken.media, "member:x")
    with pytest.raises(ChangedMeanwhile):
        corrections.correct(one.pk, "x", "member:x")


def test_corrections_are_thrown_away_only_by_somebody_who_is_sure(spoken):
    corrections.correct(second_of(spoken).pk, "a encomenda não chegou", "member:x")
    with pytest.raises(HasCorrections):
        transcripts.ask(spoken.media, "member:y")
    assert second_of(spoken).text == "a encomenda não chegou"
    transcripts.ask(spoken.media, "member:y", is_sure=True)
    spoken.refresh_from_db()
    assert (spoken.state, spoken.text, spoken.attempts) == ("waiting", "", 0)
    assert not TranscriptSegment.objects.exists()
    assert AuditEntry.objects.filter(action="transcript.asked").last().details == {
        "again": True,
        "corrections": 1,
    }


def test_captions_are_those_that_were_corrected(spoken):
    corrections.correct(second_of(spoken).pk, "a <encomenda> não chegou", "member:x")
    text = transcripts.captions(spoken.media_id)
    assert "00:00:01.000 --> 00:00:02.000\na &lt;encomenda&gt; não chegou\n" in text
    assert transcripts.captions(ids.new()) is None


# ── found ──


def test_a_word_that_is_said_everywhere_is_found_everywhere(transcriber, kept_file, alice, monkeypatch):
    monkeypatch.setattr(search, "MAX_SPOKEN", 1)
    rows = [asked(kept_file()) for _ in range(3)]
    for row in rows:
        Transcript.objects.filter(pk=row.pk).update(text="bom dia", made_at=clock.now(), engine="fake")
    assert search.found(alice, Wish(text="dia")).count() == 3
    assert search.found(alice, Wish(text="noite")).count() == 0


def test_what_another_workspace_says_is_not_found(spoken, charlie, bob, alice):
    assert search.found(charlie, Wish(text="entrega")).count() == 0
    assert search.found(bob, Wish(text="entrega")).count() == 1


def test_an_agent_finds_only_what_the_team_may_hear(spoken, bob, team, alice):
    assert search.found(bob, Wish(text="entrega")).count() == 1
    team.kinds = ["image"]
    team.save()
    assert search.found(bob, Wish(text="entrega")).count() == 0


def test_a_spoken_word_and_a_caption_are_found_together(spoken, alice):
    MediaFile.objects.filter(pk=spoken.media_id).update(caption="foto do roteador")
    assert search.found(alice, Wish(text="roteador entrega")).count() == 1
    assert search.found(alice, Wish(text="roteador sofá")).count() == 0


def test_a_person_and_what_was_said_are_found_together(spoken, workspace, alice):
    make_person(workspace, "Outra Pessoa", None)
    assert search.found(alice, Wish(text="marina entrega")).count() == 1
    assert search.found(alice, Wish(text="outra entrega")).count() == 0


def test_says_nothing_of_a_transcript_that_is_being_made_again(spoken, alice):
    transcripts.ask(spoken.media, "member:x")
    assert search.found(alice, Wish(text="entrega")).count() == 0
