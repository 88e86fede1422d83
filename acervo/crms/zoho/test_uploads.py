"""What is Zoho's own about the bytes themselves: names that may stand there twice, a bin, one code for two refusals."""

from dataclasses import replace

import httpx
import pytest

from acervo.crms.conformance import SECRET_TEXT, SOUND, a_draft, an_item, an_upload
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef, Uploaded
from acervo.crms.tokens import OwnToken
from acervo.crms.zoho.adapter import Zoho
from acervo.crms.zoho.test_zoho import ZohoWorld
from acervo.crms.zoho.uploads import LEFT_IN_ZOHO, TERMS
from sandbox.hubspot.shapes import ShapeFault
from sandbox.zoho import Fault

PIECE = bytes(65_536)
MODELS = pytest.mark.parametrize("plan", ["object", "activity"])


@pytest.fixture
def world():
    return ZohoWorld()


async def written(world):
    """A file's record or note, and who writes."""
    world.remember((await world.connector().ensure_schema()).options)
    connector = world.connector()
    item = an_item(contact=await connector.upsert_contact(a_draft()))
    (result,) = await connector.upsert_media([item])
    return connector, an_upload(result.ref, item.media_id)


async def refusal_of(call):
    with pytest.raises(CrmError) as refusal:
        await call
    return refusal.value


def held(world):
    return list(world.account.files.held.values())


# --- in ---


@MODELS
async def test_two_calls_hang_a_file_on_its_own_record_or_note(plan):
    world = ZohoWorld(plan)
    connector, upload = await written(world)
    before = world.calls()
    done = await connector.upload(upload)
    assert world.calls() - before == 2
    (one,) = held(world)
    assert (one.id, one.holder.id) == (done.file_id, upload.holder.record_id)
    assert (one.name, one.content_type, one.content) == (upload.file_name, "audio/mpeg", SOUND)
    await connector.upload(upload)
    assert world.calls() - before == 3  # looked, and found it


async def test_bytes_stay_with_their_note_when_its_contact_is_merged_away():
    world = ZohoWorld("activity")
    connector, upload = await written(world)
    done = await connector.upload(upload)
    (loser,) = world.contacts_of(upload.holder.record_id)
    winner = world.add_contact(first_name="Ana")
    world.merge(winner, loser)
    assert world.contacts_of(upload.holder.record_id) == [winner]
    assert await connector.upload(upload) == done
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_a_file_that_stands_behind_two_hundred_others_is_not_sent_twice(world):
    connector, upload = await written(world)
    for n in range(205):
        world.account.add_file(upload.holder.record_id, f"contrato-{n}.pdf", b"theirs")
    first, second = [await connector.upload(upload) for _ in range(2)]
    assert first == second
    assert world.uploads(upload.file_name) == {first.file_id: SOUND}


async def test_a_file_larger_than_zoho_takes_is_refused_before_anybody_is_asked(world):
    connector, upload = await written(world)
    before = world.calls()
    error = await refusal_of(connector.upload(replace(upload, size_bytes=TERMS.most_bytes + 1)))
    assert error.kind is CrmErrorKind.VALIDATION
    assert world.calls() == before


async def test_no_space_for_files_is_no_reason_to_try_again(world):
    connector, upload = await written(world)
    world.account.files.space_bytes = len(SOUND) - 1
    error = await refusal_of(connector.upload(upload))
    assert error.kind is CrmErrorKind.VALIDATION
    assert not held(world)


async def test_an_access_without_the_scope_for_attachments_is_told(world):
    connector, upload = await written(world)
    world.account.lacks_scopes.add("/Attachments")
    for call in (
        connector.upload(upload),
        connector.remove_upload(Uploaded("", "a.mp3", upload.holder, "1")),
    ):
        assert (await refusal_of(call)).kind is CrmErrorKind.FORBIDDEN


@pytest.mark.parametrize(
    ("fault", "kept"),
    [(Fault("timeout_after_commit", method="POST", path_has="/Attachments"), 1), (Fault("status", 502, "POST", "/Attachments"), 0)],
)  # fmt: skip
async def test_a_broken_answer_to_the_bytes_says_that_nobody_knows(world, fault, kept):
    connector, upload = await written(world)
    world.account.faults.add(fault)
    assert (await refusal_of(connector.upload(upload))).kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert len(held(world)) == kept
    await connector.upload(upload)
    assert len(held(world)) == 1


async def test_a_token_that_ends_in_between_lets_the_file_begin_anew(world):
    connector, upload = await written(world)
    refused = Fault("status", 401, "POST", "/Attachments", category="INVALID_TOKEN")
    world.account.faults.add(refused)
    done = await connector.upload(upload)
    assert world.tokens_given() == 2
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_bytes_hang_on_nothing_but_records_and_notes_of_ours(world):
    connector, upload = await written(world)
    deal = replace(upload, holder=RecordRef("deal", world.add_deal(world.add_contact(), "Reforma")))
    unknown = Uploaded(upload.media_id, upload.file_name, deal.holder)
    for call in (connector.upload(deal), connector.remove_upload(unknown)):
        assert (await refusal_of(call)).kind is CrmErrorKind.UNSUPPORTED
    assert not held(world)


async def test_a_large_file_is_never_ahead_of_the_line():
    """As large as Zoho takes; what reads it counts how far what makes it has come."""
    made, taken, told = [0], [0], {}

    async def pieces():
        for size in [len(PIECE)] * (TERMS.most_bytes // len(PIECE)) + [TERMS.most_bytes % len(PIECE)]:
            made[0] += size
            yield PIECE[:size]

    class Line(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.url.path.startswith("/oauth"):
                return httpx.Response(200, json={"access_token": "a", "expires_in": 3600})
            if request.method == "GET":
                return httpx.Response(204)
            told.update(request.headers)
            async for piece in request.stream:
                assert len(piece) <= len(PIECE)
                taken[0] += len(piece)
                assert made[0] <= taken[0] + len(PIECE)
            entry = {"code": "SUCCESS", "details": {"id": "77"}, "message": "done", "status": "success"}
            return httpx.Response(200, json={"data": [entry]})

    secrets = {"client_id": "a", "client_secret": "b", "refresh_token": "c"}
    credentials = CrmCredentials(secrets=secrets, tokens=OwnToken())
    connector = Zoho(credentials, httpx.AsyncClient(transport=Line()), pace=ZohoWorld().pace)
    upload = replace(an_upload(RecordRef("media", "5")), size_bytes=TERMS.most_bytes, content=pieces)
    assert (await connector.upload(upload)).file_id == "77"
    assert made[0] == TERMS.most_bytes < taken[0] < 20 * 1024 * 1024
    assert int(told["content-length"]) == taken[0]
    assert "transfer-encoding" not in told


async def test_a_form_of_another_shape_is_caught(world):
    _, upload = await written(world)
    (token,) = world.account.tokens
    headers = {"Authorization": f"Zoho-oauthtoken {token}"}
    url = f"https://www.zohoapis.com/crm/v8/WhatsAppMedia/{upload.holder.record_id}/Attachments"
    for files in ({"content": ("a.mp3", SOUND, "audio/mpeg")}, {"file": ("a/b.mp3", SOUND, "audio/mpeg")}):
        with pytest.raises(ShapeFault):
            await world.http.post(url, files=files, headers=headers)
    assert not held(world)


# --- out ---


@MODELS
async def test_removed_bytes_are_gone_from_the_recycle_bin_too(plan):
    world = ZohoWorld(plan)
    connector, upload = await written(world)
    done = await connector.upload(upload)
    assert (await connector.remove_upload(done)).outcome == "done"
    assert not held(world)


@pytest.mark.parametrize("why", ["no scope", "no entry of its own"])
async def test_what_may_stay_in_the_bin_is_said(world, why):
    connector, upload = await written(world)
    done = await connector.upload(upload)
    if why == "no scope":
        world.account.lacks_scopes.add("/settings/recycle_bin")
    world.account.files.are_binned_alone = why == "no scope"
    result = await connector.remove_upload(done)
    assert (result.outcome, result.left) == ("partial", LEFT_IN_ZOHO)
    assert not world.uploads(upload.file_name)
    assert len(held(world)) == 1


async def test_a_file_that_somebody_deleted_by_hand_is_taken_out_of_the_bin(world):
    connector, upload = await written(world)
    done = await connector.upload(upload)
    world.account.files.held[done.file_id].deleted_at = world.time.now()
    assert (await connector.remove_upload(done)).outcome == "done"
    assert not held(world)


async def test_doubles_go_with_it_and_files_of_people_stay(world):
    connector, upload = await written(world)
    done = await connector.upload(upload)
    world.account.add_file(upload.holder.record_id, upload.file_name, SOUND)
    theirs = world.account.add_file(upload.holder.record_id, "contrato.pdf", b"theirs")
    assert await connector.upload(upload) == done  # the oldest
    await connector.remove_upload(done)
    assert held(world) == [theirs]


async def test_bytes_that_the_list_does_not_name_are_removed_by_their_id(world):
    connector, upload = await written(world)
    done = await connector.upload(upload)
    await connector.remove_upload(replace(done, file_name="as-it-was-called-before.mp3"))
    assert not held(world)


async def test_a_file_that_zoho_does_not_let_go_of_is_not_taken_for_gone(world):
    connector, upload = await written(world)
    done = await connector.upload(upload)
    world.account.files.are_let_go = False
    error = await refusal_of(connector.remove_upload(done))
    assert error.is_retryable
    assert world.uploads(upload.file_name)
    world.account.files.are_let_go = True
    await connector.remove_upload(done)
    assert not held(world)


async def test_a_user_who_may_not_delete_files_is_told(world):
    connector, upload = await written(world)
    done = await connector.upload(upload)
    world.account.files.may_delete = False
    assert (await refusal_of(connector.remove_upload(done))).kind is CrmErrorKind.FORBIDDEN


@MODELS
async def test_with_an_erased_record_its_bytes_are_gone(plan):
    world = ZohoWorld(plan)
    connector, upload = await written(world)
    done = await connector.upload(upload)
    await connector.erase_media(upload.holder)
    assert not held(world)
    assert (await connector.remove_upload(done)).outcome == "done"


async def test_a_refusal_of_an_upload_repeats_nothing_that_zoho_says(world):
    connector, upload = await written(world)
    refused = Fault(
        "status",
        400,
        "POST",
        "/Attachments",
        category="INVALID_DATA",
        message=f"{upload.file_name} {SECRET_TEXT}",
    )
    world.account.faults.add(refused)
    error = await refusal_of(connector.upload(upload))
    assert error.kind is CrmErrorKind.VALIDATION
    for word in (upload.file_name, SECRET_TEXT):
        assert word not in f"{error!r} {vars(error)}"
