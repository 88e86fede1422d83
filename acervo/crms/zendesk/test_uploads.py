"""What is Zendesk's own where the bytes go in: two steps, tickets that close, notes that cannot be changed."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from acervo.crms.conformance import SOUND, a_draft, an_item, an_upload
from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef, Uploaded
from acervo.crms.zendesk import uploads
from acervo.crms.zendesk.api import CHANGES_PER_TICKET
from acervo.crms.zendesk.test_zendesk import ZendeskWorld
from sandbox.hubspot.shapes import CheckedTransport, ShapeFault
from sandbox.zendesk import Fault
from sandbox.zendesk.calls import moment
from sandbox.zendesk.files import REDACTED

UPLOADS = "POST /api/v2/uploads"
DROPS = "DELETE /api/v2/uploads/{token}"


@pytest.fixture
def world():
    return ZendeskWorld()


@pytest.fixture
def plain_world():
    return ZendeskWorld("activity")


async def ready(world):
    world.remember((await world.connector().ensure_schema()).options)
    connector = world.connector()
    return connector, await connector.upsert_contact(a_draft())


async def on_a_ticket(world, **changes):
    """A connector, a ticket, and a file that shall hang on it."""
    connector, contact = await ready(world)
    ticket = world.account.desk.get(int(world.add_deal(contact.record_id, "Entrega atrasada")))
    upload = an_upload(RecordRef("ticket", str(ticket.id)), **changes)
    world.time.advance(5)
    world.transport.exchanges.clear()
    return connector, ticket, upload


async def refusal_of(call):
    with pytest.raises(CrmError) as refusal:
        await call
    return refusal.value


def waiting(world):
    return world.account.desk.files.waiting


def by_agent(world, ticket, upload):
    """An agent who downloaded the file sends it on to the customer."""
    files = world.account.desk.files
    token, _ = files.upload(upload.file_name, upload.mime, b"sent on")
    return world.account.desk.comment(ticket, {"body": "Segue", "public": True, "uploads": [token]})


# --- going in ---


async def test_a_file_takes_four_calls_and_hangs_on_a_note_customers_do_not_see(world):
    world.options["language"] = "pt-br"
    connector, ticket, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    assert sum(world.transport.exchanges.values()) == 4
    (comment,) = ticket.comments
    (file,) = comment.files
    assert (file.name, file.type, file.content) == (upload.file_name, "audio/mpeg", SOUND)
    assert done.file_id == f"{ticket.id}/{comment.id}/{file.id}"
    assert not comment.is_public
    assert "WhatsApp: Áudio de voz" in comment.html
    assert ticket.tags == ["whatsapp_media"]
    assert not waiting(world)


async def test_a_file_on_a_note_leaves_the_note_as_it_is(plain_world):
    connector, contact = await ready(plain_world)
    item = an_item(contact=contact)
    (result,) = await connector.upsert_media([item])
    await connector.upload(an_upload(result.ref, item.media_id))
    (state,) = await connector.read_media([replace(item, known_ref=result.ref)])
    assert state.copies == 1
    assert plain_world.records(item.media_id) == [result.ref.record_id]


async def test_a_note_somebody_blacked_out_takes_no_bytes(plain_world):
    connector, contact = await ready(plain_world)
    item = an_item(contact=contact)
    (result,) = await connector.upsert_media([item])
    plain_world.delete_record(result.ref.record_id)
    error = await refusal_of(connector.upload(an_upload(result.ref, item.media_id)))
    assert error.kind is CrmErrorKind.NOT_FOUND
    assert UPLOADS not in plain_world.transport.exchanges


async def test_a_record_holds_no_bytes_in_zendesk(world):
    connector, _ = await ready(world)
    (result,) = await connector.upsert_media([an_item()])
    error = await refusal_of(connector.upload(an_upload(result.ref)))
    assert error.kind is CrmErrorKind.UNSUPPORTED


async def test_what_is_too_large_is_said_before_anything_is_sent(world):
    connector, _, upload = await on_a_ticket(world)
    error = await refusal_of(connector.upload(replace(upload, size_bytes=uploads.MOST_BYTES + 1)))
    assert error.kind is CrmErrorKind.VALIDATION
    assert not world.transport.exchanges


async def test_a_closed_ticket_takes_no_bytes_and_shows_those_it_has(world):
    connector, ticket, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    ticket.status = "closed"
    assert await connector.upload(upload) == done
    world.transport.exchanges.clear()
    error = await refusal_of(connector.upload(an_upload(upload.holder)))
    assert error.kind is CrmErrorKind.VALIDATION
    assert UPLOADS not in world.transport.exchanges


async def test_a_type_the_account_does_not_allow_is_said_and_leaves_nothing(world):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.desk.files.refused_endings.add("mp3")
    error = await refusal_of(connector.upload(upload))
    assert (error.kind, error.vendor_code) == (CrmErrorKind.VALIDATION, "AttachmentUnprocessable")
    assert not ticket.comments


async def test_more_than_zendesk_takes_is_a_fault_of_the_file(world):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.desk.files.most_bytes = 1000
    error = await refusal_of(connector.upload(upload))
    assert (error.kind, error.status) == (CrmErrorKind.VALIDATION, 413)
    assert not ticket.comments


async def test_an_account_that_lets_nobody_attach_says_so(world):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.takes_uploads = False
    assert (await refusal_of(connector.upload(upload))).kind is CrmErrorKind.FORBIDDEN
    assert not ticket.comments


async def test_a_busy_ticket_is_known_before_the_bytes_are_sent(world):
    connector, _, upload = await on_a_ticket(world)
    for _ in range(CHANGES_PER_TICKET):
        await connector.upload(an_upload(upload.holder, content=b"x"))
    world.transport.exchanges.clear()
    error = await refusal_of(connector.upload(upload))
    assert error.kind is CrmErrorKind.LOCKED
    assert error.retry_after_s > 60
    assert UPLOADS not in world.transport.exchanges


async def test_bytes_refused_for_the_pace_are_sent_whole_again(world):
    connector, _, upload = await on_a_ticket(world)
    world.account.faults.add(Fault("status", 429, "POST", "/uploads", policy_name="3"))
    done = await connector.upload(upload)
    assert world.transport.exchanges[UPLOADS] == 2
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_bytes_whose_own_answer_was_lost_hang_nowhere_and_go_in_again(world):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.faults.add(Fault("timeout_after_commit", method="POST", path_has="/uploads"))
    assert (await refusal_of(connector.upload(upload))).kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert not ticket.comments
    done = await connector.upload(upload)
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_bytes_that_may_hang_all_the_same_are_not_taken_away(world):
    connector, _, upload = await on_a_ticket(world)
    world.account.faults.add(Fault("status", 504, method="PUT", path_has="/api/v2/tickets/"))
    assert (await refusal_of(connector.upload(upload))).kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert DROPS not in world.transport.exchanges
    assert len(waiting(world)) == 1


@pytest.mark.parametrize(("status", "kind"), [(422, CrmErrorKind.VALIDATION), (403, CrmErrorKind.FORBIDDEN)])
async def test_bytes_without_a_note_are_taken_away_at_once(world, status, kind):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.faults.add(Fault("status", status, method="PUT", path_has="/api/v2/tickets/"))
    assert (await refusal_of(connector.upload(upload))).kind is kind
    assert not waiting(world)
    assert not ticket.comments


async def test_an_upload_that_cannot_be_taken_away_does_not_hide_why(world):
    connector, _, upload = await on_a_ticket(world)
    world.account.faults.add(Fault("status", 422, method="PUT", path_has="/api/v2/tickets/"))
    world.account.faults.add(Fault("status", 403, method="DELETE", path_has="/uploads/"))
    assert (await refusal_of(connector.upload(upload))).kind is CrmErrorKind.VALIDATION
    assert world.transport.exchanges[DROPS] == 1


async def test_a_ticket_somebody_wrote_to_meanwhile_is_looked_at_again(world):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.faults.add(Fault("status", 409, method="PUT", category="UpdateConflict"))
    done = await connector.upload(upload)
    assert world.transport.exchanges[UPLOADS] == 1
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}
    world.account.faults.add(Fault("status", 409, method="PUT", category="UpdateConflict", times=9))
    assert (await refusal_of(connector.upload(an_upload(upload.holder)))).kind is CrmErrorKind.LOCKED
    assert not waiting(world)
    assert len(ticket.comments) == 1


async def test_two_who_bring_the_same_file_at_once_leave_it_once(world):
    _, _, upload = await on_a_ticket(world)
    have_looked = asyncio.Barrier(2)

    async def content():
        await have_looked.wait()
        yield SOUND

    upload = replace(upload, content=content)
    both = await asyncio.gather(*(world.connector().upload(upload) for _ in range(2)))
    assert world.transport.exchanges[UPLOADS] == 2
    assert both[0] == both[1]
    assert world.uploads(upload.file_name) == {both[0].file_id: SOUND}
    assert not waiting(world)


async def test_a_file_an_agent_sent_on_is_not_ours(world):
    connector, ticket, upload = await on_a_ticket(world)
    theirs = by_agent(world, ticket, upload)
    done = await connector.upload(upload)
    assert len(world.uploads(upload.file_name)) == 2
    assert (await connector.remove_upload(done)).outcome == "done"
    assert [file.content for file in theirs.files] == [b"sent on"]
    assert len(world.uploads(upload.file_name)) == 1


# --- answers that tell less ---


class Forgetful(httpx.AsyncBaseTransport):
    """Leaves out of Zendesk's answers what `keep` does not keep."""

    def __init__(self, inner, keep):
        self.inner, self.keep = inner, keep

    async def handle_async_request(self, request):
        response = await self.inner.handle_async_request(request)
        content = await response.aread()
        shown = json.loads(content, object_hook=self.keep) if content else None
        return httpx.Response(response.status_code, json=shown)


def forgetting(world, *names):
    keep = lambda one: {name: value for name, value in one.items() if name not in names}  # noqa: E731
    world.http = httpx.AsyncClient(transport=Forgetful(world.transport, keep))
    return world.connector()


async def test_an_answer_without_its_audit_is_read_from_the_ticket(world):
    _, _, upload = await on_a_ticket(world)
    done = await forgetting(world, "audit").upload(upload)
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_a_note_without_its_file_is_not_taken_for_done(world):
    _, _, upload = await on_a_ticket(world)
    error = await refusal_of(forgetting(world, "attachments").upload(upload))
    assert error.kind is CrmErrorKind.VALIDATION


# --- coming out ---


async def test_what_is_taken_out_leaves_an_empty_file_and_black_text(world):
    connector, ticket, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    other = await connector.upload(an_upload(upload.holder))
    world.transport.exchanges.clear()
    assert (await connector.remove_upload(done)).outcome == "done"
    assert sum(world.transport.exchanges.values()) == 2
    emptied, kept = ticket.comments
    assert [(file.name, file.content) for file in emptied.files] == [(REDACTED, b"")]
    assert upload.media_id not in emptied.html
    assert "▇" in emptied.html
    assert world.uploads(other.file_name) == {other.file_id: SOUND}
    assert other.media_id in kept.html


async def test_a_closed_ticket_lets_go_of_bytes_where_there_is_the_agent_workspace(world):
    connector, ticket, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    ticket.status = "closed"
    assert (await connector.remove_upload(done)).outcome == "done"
    assert not world.uploads(upload.file_name)


async def test_without_the_agent_workspace_an_open_ticket_lets_go_and_a_closed_one_does_not(world):
    connector, ticket, upload = await on_a_ticket(world)
    world.account.desk.has_workspace = False
    first, second = [await connector.upload(one) for one in (upload, an_upload(upload.holder))]
    assert (await connector.remove_upload(first)).outcome == "done"
    assert not world.uploads(first.file_name)
    ticket.status = "closed"
    outcome = await connector.remove_upload(second)
    assert (outcome.outcome, outcome.left) == ("impossible", uploads.LEFT_IN_ZENDESK)
    assert world.uploads(second.file_name) == {second.file_id: SOUND}
    assert (await connector.remove_upload(first)).outcome == "done"


async def test_who_may_not_redact_is_told_so(world):
    connector, _, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    world.account.desk.has_workspace = False
    world.account.faults.add(Fault("status", 403, method="PUT", path_has="/redact"))
    assert (await refusal_of(connector.remove_upload(done))).kind is CrmErrorKind.FORBIDDEN


async def test_bytes_a_redaction_left_are_taken_out_by_themselves(world, monkeypatch):
    connector, _, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    redact = world.account.desk.redact
    monkeypatch.setattr(
        world.account.desk, "redact", lambda ticket, id_, html, keys: redact(ticket, id_, html)
    )
    assert (await connector.remove_upload(done)).outcome == "done"
    assert not world.uploads(upload.file_name)


async def test_a_copy_whose_note_somebody_blacked_out_is_taken_out_by_its_number(world):
    connector, ticket, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    (comment,) = ticket.comments
    comment.html = comment.html.replace(upload.media_id, "▇▇▇")
    assert (await connector.remove_upload(done)).outcome == "done"
    assert not world.uploads(upload.file_name)


async def test_what_hung_on_a_ticket_that_was_deleted_is_done(world):
    connector, ticket, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    del world.account.desk.tickets[ticket.id]
    assert (await connector.remove_upload(done)).outcome == "done"
    for odd in (RecordRef("ticket", "none"), RecordRef("note", "none")):
        assert (await connector.remove_upload(Uploaded("", "", odd))).outcome == "done"


async def test_a_way_out_that_is_away_is_no_answer(world):
    connector, _, upload = await on_a_ticket(world)
    done = await connector.upload(upload)
    world.account.faults.add(Fault("status", 500, method="PUT", path_has="/comment_redactions", times=9))
    assert (await refusal_of(connector.remove_upload(done))).is_retryable
    assert len(world.uploads(upload.file_name)) == 1


# --- bytes ---


class Counting(httpx.AsyncBaseTransport):
    """Takes bytes piece by piece, as a socket does, and keeps none of them."""

    def __init__(self, world):
        self.world = world
        self.given = self.taken = self.most_ahead = 0

    async def pieces(self, count, piece):
        for _ in range(count):
            self.given += 1
            self.most_ahead = max(self.most_ahead, self.given - self.taken)
            yield piece

    async def handle_async_request(self, request):
        if not request.url.path.endswith("/uploads"):
            return await self.world.transport.handle_async_request(request)
        size_bytes = 0
        async for piece in request.stream:
            self.taken += 1
            size_bytes += len(piece)
        assert int(request.headers["Content-Length"]) == size_bytes
        files = self.world.account.desk.files
        token, file = files.upload(request.url.params["filename"], request.headers["Content-Type"], b"")
        shown = file.as_json("https://aurora.zendesk.com")
        return httpx.Response(201, json={"upload": {"token": token, "attachment": shown}})


async def test_thirty_megabytes_are_never_held_whole(world):
    _, ticket, upload = await on_a_ticket(world)
    transport = Counting(world)
    world.http = httpx.AsyncClient(transport=transport)
    large = replace(upload, size_bytes=30 * 1024**2, content=lambda: transport.pieces(480, bytes(64 * 1024)))
    await world.connector().upload(large)
    assert transport.given == transport.taken == 480
    assert transport.most_ahead <= 2
    assert len(ticket.comments) == 1


# --- both sides ---


async def test_both_sides_are_held_to_the_shapes_of_files(world):
    _, ticket, _ = await on_a_ticket(world)
    base = "https://aurora.zendesk.com/api/v2"
    headers = {"Authorization": f"Bearer {next(iter(world.account.tokens))}"}
    with pytest.raises(ShapeFault):
        await world.http.post(f"{base}/uploads?filename=a.mp3", content=b"x", headers=headers)
    note = {"html_body": "<p>x</p>", "public": False, "uploads": ["a", "b"]}
    change = {"comment": note, "additional_tags": ["whatsapp_media"], "safe_update": True}
    change["updated_stamp"] = moment(ticket.updated_at)
    with pytest.raises(ShapeFault, match="uploads"):
        await world.http.put(f"{base}/tickets/{ticket.id}", json={"ticket": change}, headers=headers)
    wrong = httpx.MockTransport(lambda request: httpx.Response(201, json={"upload": {"token": ""}}))
    with pytest.raises(ShapeFault):
        await httpx.AsyncClient(transport=CheckedTransport(wrong, "zendesk")).post(
            f"{base}/uploads", content=b"x", headers={"Content-Type": "audio/mpeg"}
        )
