"""What is HubSpot's own about the bytes: where they lie, which field names them, whose ids stay, what is left."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from acervo.base import ids
from acervo.crms.conformance import SOUND, a_draft, an_item, an_upload
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef, Upload, Uploaded
from acervo.crms.hubspot.adapter import HubSpot
from acervo.crms.hubspot.schema import FILE
from acervo.crms.hubspot.test_hubspot import HubSpotWorld
from acervo.crms.hubspot.uploads import LEFT_IN_HUBSPOT
from sandbox.hubspot import Fault
from sandbox.hubspot.properties import Property
from sandbox.hubspot.shapes import ShapeFault

FIELDS = {"object": FILE, "activity": "hs_attachment_ids"}
UPLOAD = "2026-03/files"


@pytest.fixture(params=["object", "activity"])
def plan(request):
    return request.param


@pytest.fixture
def world(plan):
    return HubSpotWorld(plan)


@pytest.fixture
def enterprise():
    return HubSpotWorld()


async def ready(world):
    world.remember((await world.connector().ensure_schema()).options)
    return world.connector()


async def a_holder(connector):
    item = an_item(contact=await connector.upsert_contact(a_draft()))
    (result,) = await connector.upsert_media([item])
    return result.ref


async def prepared(world):
    """A connector and a file for it whose record can hold bytes already: nothing has to be made first."""
    connector = await ready(world)
    holder = await a_holder(connector)
    await connector.remove_upload(await connector.upload(an_upload(holder)))
    world.transport.exchanges.clear()
    return connector, an_upload(holder)


def files(world):
    return list(world.account.files.by_id.values())


def value(world, holder, field):
    return world.held("media", holder.record_id).get(field, "")


async def refused(call):
    with pytest.raises(CrmError) as refusal:
        await call
    return refusal.value


async def test_a_file_is_private_and_lies_in_our_folder(world):
    connector, upload = await prepared(world)
    await connector.upload(upload)
    (file,) = files(world)
    assert (file.access, file.place) == ("PRIVATE", f"/Acervo/{upload.file_name}")
    assert (file.content_type, file.content) == ("audio/mpeg", SOUND)


async def test_a_file_takes_four_calls_and_two_when_it_is_there_already(world):
    connector, upload = await prepared(world)
    await connector.upload(upload)
    assert world.calls() == 4
    await connector.upload(upload)
    assert world.calls() == 4 + 2


async def test_the_field_for_files_is_made_with_the_first_of_them(enterprise):
    connector = await ready(enterprise)
    made = enterprise.account.properties[enterprise.options["media_type_id"]]
    holder = await a_holder(connector)
    assert FILE not in made
    done = await connector.upload(an_upload(holder))
    assert (made[FILE].type, made[FILE].field_type) == ("string", "file")
    assert value(enterprise, holder, FILE) == done.file_id
    (ours,) = [one for one in await connector.fields("media") if one.name == FILE]
    assert ours.is_ours


async def test_two_who_need_the_field_at_once_make_one(enterprise):
    connector = await ready(enterprise)
    uploads = [an_upload(await a_holder(connector)) for _ in range(2)]
    both_missed_it = asyncio.Barrier(2)

    async def wait(response):
        if response.status_code == 404 and response.url.path.endswith(FILE):
            await both_missed_it.wait()

    enterprise.http.event_hooks = {"response": [wait]}
    enterprise.transport.exchanges.clear()
    done = await asyncio.gather(*(enterprise.connector().upload(one) for one in uploads))
    assert enterprise.transport.exchanges["POST /crm/properties/2026-03/{type}"] == 2
    for one in done:
        assert enterprise.uploads(one.file_name) == {one.file_id: SOUND}


@pytest.mark.parametrize("theirs", [("string", "text"), ("number", "number")])
async def test_a_field_for_files_that_a_person_made_differently_is_left_alone(enterprise, theirs):
    connector = await ready(enterprise)
    upload = an_upload(await a_holder(connector))
    made = enterprise.account.properties[enterprise.options["media_type_id"]]
    made[FILE] = their_own = Property(FILE, "Arquivo", *theirs)
    error = await refused(connector.upload(upload))
    assert error.kind is CrmErrorKind.VALIDATION
    assert FILE in error.detail
    assert made[FILE] is their_own
    assert not files(enterprise)


async def test_a_field_for_files_that_a_person_made_just_so_is_used(enterprise):
    connector = await ready(enterprise)
    holder = await a_holder(connector)
    made = enterprise.account.properties[enterprise.options["media_type_id"]]
    made[FILE] = their_own = Property(FILE, "Gravação", "string", "file")
    done = await connector.upload(an_upload(holder))
    assert value(enterprise, holder, FILE) == done.file_id
    assert made[FILE] is their_own


async def test_files_that_people_hung_there_stay_before_and_after(world, plan):
    connector, upload = await prepared(world)
    object_type = world.options["media_type_id"] or "notes"
    world.account.edit(object_type, upload.holder.record_id, **{FIELDS[plan]: "501;502"})
    done = await connector.upload(upload)
    assert value(world, upload.holder, FIELDS[plan]) == f"501;502;{done.file_id}"
    world.account.edit(object_type, upload.holder.record_id, **{FIELDS[plan]: f"501;{done.file_id};502;503"})
    await connector.remove_upload(done)
    assert value(world, upload.holder, FIELDS[plan]) == "501;502;503"


async def test_customers_who_sent_the_same_bytes_do_not_share_a_file(world):
    """HubSpot's own look for duplicates would make one of them, and erasing it for one would take it from both."""
    connector, upload = await prepared(world)
    other = an_upload(upload.holder)
    kept, gone = await connector.upload(upload), await connector.upload(other)
    await connector.remove_upload(gone)
    assert world.uploads(upload.file_name) == {kept.file_id: SOUND}


async def test_the_same_file_sent_by_two_at_once_is_kept_once(world, plan):
    _, upload = await prepared(world)
    all_looked = asyncio.Barrier(2)

    async def together():
        await all_looked.wait()
        async for piece in upload.content():
            yield piece

    both = replace(upload, content=together)
    one, other = await asyncio.gather(*(world.connector().upload(both) for _ in range(2)))
    assert world.account.traffic.by_operation["upload_file"] == 1 + 2
    assert one == other
    assert [file.name for file in files(world)] == [upload.file_name]
    assert value(world, upload.holder, FIELDS[plan]) == one.file_id


async def test_a_lost_answer_is_told_and_not_sent_again_unseen(world):
    connector, upload = await prepared(world)
    world.lose_next_answer_about_an_upload()
    assert (await refused(connector.upload(upload))).kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert len(files(world)) == 1
    assert not world.uploads(upload.file_name)
    await connector.upload(upload)
    assert world.transport.exchanges["POST /files/2026-03/files"] == 1
    assert len(world.uploads(upload.file_name)) == 1


async def test_a_limit_is_waited_out_and_the_bytes_begin_anew(world):
    connector, upload = await prepared(world)
    world.account.faults.add(Fault("status", 429, "POST", UPLOAD, policy_name="TEN_SECONDLY_ROLLING"))
    before = world.time.now()
    done = await connector.upload(upload)
    assert world.time.now() - before == pytest.approx(10)
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_a_token_without_the_scope_for_files_is_told_before_a_byte_goes(world):
    connector = await ready(world)
    upload = an_upload(await a_holder(connector))
    world.account.has_files_scope = False
    assert (await refused(connector.upload(upload))).kind is CrmErrorKind.FORBIDDEN
    assert "POST /files/2026-03/files" not in world.transport.exchanges


async def test_a_file_that_hubspot_does_not_take_is_told_as_that(world):
    connector, upload = await prepared(world)
    world.account.files.most_bytes = len(SOUND) - 1
    error = await refused(connector.upload(upload))
    assert (error.kind, error.status) == (CrmErrorKind.VALIDATION, 413)
    assert "size" in error.detail
    assert not files(world)


async def test_a_file_that_cannot_hang_anywhere_does_not_stay(world):
    connector, upload = await prepared(world)
    world.account.faults.add(Fault("status", 403, "PATCH", category="MISSING_SCOPES"))
    assert (await refused(connector.upload(upload))).kind is CrmErrorKind.FORBIDDEN
    assert world.transport.exchanges["POST /files/2026-03/files"] == 1
    assert not files(world)


async def test_a_file_that_could_not_hang_yet_is_hung_later_and_not_sent_again(world):
    connector, upload = await prepared(world)
    world.account.faults.add(Fault("status", 503, "PATCH", times=4))
    assert (await refused(connector.upload(upload))).kind is CrmErrorKind.UNAVAILABLE
    done = await connector.upload(upload)
    assert world.transport.exchanges["POST /files/2026-03/files"] == 1
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_a_file_that_somebody_took_off_its_record_hangs_there_again(world, plan):
    connector, upload = await prepared(world)
    done = await connector.upload(upload)
    object_type = world.options["media_type_id"] or "notes"
    world.account.edit(object_type, upload.holder.record_id, **{FIELDS[plan]: ""})
    assert await connector.upload(upload) == done
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_the_bytes_go_although_their_record_went_before(world):
    connector, upload = await prepared(world)
    done = await connector.upload(upload)
    world.delete_record(upload.holder.record_id)
    assert (await connector.remove_upload(done)).outcome == "partial"
    assert not files(world)


async def test_removing_says_what_hubspot_keeps_and_nothing_where_nothing_was(world):
    connector, upload = await prepared(world)
    never = Uploaded(upload.media_id, upload.file_name, upload.holder)
    assert (await connector.remove_upload(never)).outcome == "done"
    left = await connector.remove_upload(await connector.upload(upload))
    assert (left.outcome, left.left) == ("partial", LEFT_IN_HUBSPOT)


async def test_no_file_hangs_on_a_deal(world):
    connector = await ready(world)
    contact = await connector.upsert_contact(a_draft())
    deal = RecordRef("deal", world.add_deal(contact.record_id, "Roteador"))
    for call in (
        connector.upload(an_upload(deal)),
        connector.remove_upload(Uploaded("1", "a.mp3", deal, "7")),
    ):
        assert (await refused(call)).kind is CrmErrorKind.UNSUPPORTED


async def test_a_form_that_is_not_ours_breaks_the_shapes(enterprise):
    await ready(enterprise)
    url, headers = (
        "https://api.hubapi.com/files/2026-03/files",
        {"Authorization": f"Bearer {enterprise.token}"},
    )
    form = {"folderPath": "/Acervo", "options": json.dumps({"access": "PUBLIC_INDEXABLE"})}
    with pytest.raises(ShapeFault, match="access"):
        await enterprise.http.post(url, data=form, files={"file": ("a.mp3", b"a")}, headers=headers)
    assert not files(enterprise)


class Trickle(httpx.AsyncBaseTransport):
    """Takes a file piece by piece and keeps none of it; everything else goes to the account."""

    def __init__(self, inner):
        self.inner = inner
        self.taken = self.said = 0

    async def handle_async_request(self, request):
        if (request.method, request.url.path) != ("POST", "/files/2026-03/files"):
            return await self.inner.handle_async_request(request)
        self.said = int(request.headers["content-length"])
        async for piece in request.stream:
            self.taken += len(piece)
        return httpx.Response(201, json={"id": "9001"}, request=request)


async def test_thirty_megabytes_are_never_held(world):
    """What we give is taken before we are asked for more: at most one piece is on its way."""
    await prepared(world)
    piece, count = bytes(64 * 1024), 480
    trickle = Trickle(world.transport)
    ahead = []

    async def content():
        for given in range(count):
            ahead.append(given * len(piece) - trickle.taken)
            yield piece

    credentials = CrmCredentials(secrets={"token": world.token}, options=world.options)
    connector = HubSpot(credentials, httpx.AsyncClient(transport=trickle), pace=world.pace)
    holder = await a_holder(connector)
    media_id = ids.text(ids.new())
    upload = Upload(media_id, f"video-{media_id}.mp4", "video/mp4", count * len(piece), content, holder)
    assert (await connector.upload(upload)).file_id == "9001"
    assert trickle.taken == trickle.said > 30_000_000
    assert len(ahead) == count
    assert max(ahead) <= len(piece)
