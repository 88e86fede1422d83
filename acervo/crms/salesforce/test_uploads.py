"""What is Salesforce's own about copies of the bytes: versions, documents and links, and a bin they lie in."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from acervo.crms.conformance import SOUND, a_draft, an_item, an_upload
from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef, Uploaded
from acervo.crms.salesforce import package, uploads
from acervo.crms.salesforce.definitions import media_definitions
from acervo.crms.salesforce.places import CUSTOM_OBJECT
from acervo.crms.salesforce.test_salesforce import BASE, SalesforceWorld
from sandbox.forms import Part
from sandbox.salesforce import Fault, content
from sandbox.salesforce.shapes import ShapeFault

MB = 1024 * 1024
SENT = "createFile"


@pytest.fixture
def world():
    return SalesforceWorld()


async def ready(world):
    """A connector, and an upload for a record that is there."""
    world.remember((await world.connector().ensure_schema()).options)
    connector = world.connector()
    item = an_item(contact=await connector.upsert_contact(a_draft()))
    (result,) = await connector.upsert_media([item])
    world.transport.exchanges.clear()
    return connector, an_upload(result.ref, item.media_id)


def the_version(world):
    (version,) = world.org.live_of("ContentVersion")
    return version


def unconfirmed(upload):
    return Uploaded(upload.media_id, upload.file_name, upload.holder)


# --- on the way in ---


async def test_a_file_costs_three_calls_and_one_that_is_there_costs_one(world):
    connector, upload = await ready(world)
    await connector.upload(upload)
    assert world.transport.exchanges == {"composite": 2, SENT: 1}
    await connector.upload(upload)
    assert world.transport.exchanges == {"composite": 3, SENT: 1}


async def test_it_has_its_name_and_type_and_is_shared_with_nothing_but_its_record(world):
    connector, upload = await ready(world)
    done = await connector.upload(upload)
    version = the_version(world)
    assert version.values["PathOnClient"] == upload.file_name
    assert f"{version.values['Title']}.{version.values['FileExtension']}" == upload.file_name
    assert world.org.bytes_of[version.id].type == upload.mime
    links = [one.values for one in world.org.live_of("ContentDocumentLink")]
    assert {one["ContentDocumentId"] for one in links} == {done.file_id}
    assert {one["LinkedEntityId"]: one["ShareType"] for one in links} == {
        world.org.user_id: "I",
        upload.holder.record_id: "V",
    }


async def test_its_name_stands_in_no_address(world):
    connector, upload = await ready(world)
    urls = []

    async def note(request):
        urls.append(str(request.url))

    world.http.event_hooks = {"request": [note]}
    done = await connector.upload(upload)
    await connector.remove_upload(replace(done, file_id=""))
    assert len(urls) == 5
    assert not any(upload.media_id in url for url in urls)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "INVALID_SESSION_ID"), (400, "UNABLE_TO_LOCK_ROW")], ids=["session", "lock"]
)
async def test_what_is_sent_again_is_sent_from_its_beginning(world, status, code):
    connector, upload = await ready(world)
    world.org.faults.add(Fault("status", status, "POST", "/sobjects/ContentVersion", category=code))
    done = await connector.upload(upload)
    assert world.transport.exchanges[SENT] == 2
    assert world.uploads(upload.file_name) == {done.file_id: SOUND}


async def test_a_gateways_refusal_does_not_say_whether_the_bytes_are_there(world):
    connector, upload = await ready(world)
    world.org.faults.add(
        Fault("status", 503, "POST", "/sobjects/ContentVersion", category="SERVER_UNAVAILABLE")
    )
    with pytest.raises(CrmError) as refusal:
        await connector.upload(upload)
    assert refusal.value.kind is CrmErrorKind.UNKNOWN_OUTCOME
    assert world.transport.exchanges[SENT] == 1


class Streamed(httpx.AsyncBaseTransport):
    """Takes a file piece by piece, as a socket does, and keeps nothing of it; the other calls go to the organisation."""

    def __init__(self, world: SalesforceWorld, answer: Callable[[], str]) -> None:
        self.world = world
        self.answer = answer
        self.taken_bytes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/sobjects/ContentVersion"):
            return await self.world.transport.handle_async_request(request)
        async for piece in request.stream:
            self.taken_bytes += len(piece)
        assert self.taken_bytes == int(request.headers["Content-Length"])
        return httpx.Response(201, json={"id": self.answer(), "success": True, "errors": []})


async def test_thirty_megabytes_are_never_held_whole(world):
    _, upload = await ready(world)
    values = {"PathOnClient": upload.file_name, "FirstPublishLocationId": upload.holder.record_id}
    streamed = Streamed(world, lambda: content.publish(world.org, values, Part("audio/mpeg", "", b"-")).id)
    made = ahead = 0

    async def pieces():
        nonlocal made, ahead
        for _ in range(30):
            made += 1
            ahead = max(ahead, made - streamed.taken_bytes // MB)
            yield bytes(MB)

    world.http = httpx.AsyncClient(transport=streamed)
    done = await world.connector().upload(replace(upload, size_bytes=30 * MB, content=pieces))
    assert done.file_id in world.uploads(upload.file_name)
    assert (made, ahead) == (30, 1)


async def test_a_file_that_is_not_shown_yet_may_be_there(world):
    _, upload = await ready(world)
    world.http = httpx.AsyncClient(transport=Streamed(world, lambda: "068000000000999AAA"))
    with pytest.raises(CrmError) as refusal:
        await world.connector().upload(upload)
    assert refusal.value.kind is CrmErrorKind.UNKNOWN_OUTCOME


# --- refusals ---


def fill_up(org):
    org.file_room_bytes = len(SOUND) - 1


def take_less(org):
    org.most_file_bytes = len(SOUND) - 1


def publish_enough(org):
    org.files_a_day.limit = 0


@pytest.mark.parametrize(
    ("arrange", "kind", "wait_s"),
    [
        (fill_up, CrmErrorKind.VALIDATION, None),
        (take_less, CrmErrorKind.VALIDATION, None),
        (publish_enough, CrmErrorKind.QUOTA_EXHAUSTED, 3600.0),
    ],
)
async def test_a_refusal_says_whether_waiting_helps(world, arrange, kind, wait_s):
    connector, upload = await ready(world)
    arrange(world.org)
    with pytest.raises(CrmError) as refusal:
        await connector.upload(upload)
    assert (refusal.value.kind, refusal.value.retry_after_s) == (kind, wait_s)
    assert upload.media_id not in repr(vars(refusal.value))
    assert world.transport.exchanges[SENT] == 1


async def test_a_user_who_sees_no_files_is_said_so_before_anything_is_sent(world):
    connector, upload = await ready(world)
    del world.org.objects["ContentDocumentLink"]
    with pytest.raises(CrmError) as refusal:
        await connector.upload(upload)
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN
    assert SENT not in world.transport.exchanges


async def test_a_user_who_may_not_change_the_record_is_said_so(world):
    connector, upload = await ready(world)
    world.org.faults.add(
        Fault("status", 400, "POST", "/sobjects/ContentVersion", category="INSUFFICIENT_ACCESS_OR_READONLY")
    )
    with pytest.raises(CrmError) as refusal:
        await connector.upload(upload)
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"size_bytes": uploads.UPLOADS.most_bytes + 1}, CrmErrorKind.VALIDATION),
        ({"holder": RecordRef("deal", "006000000000001AAA")}, CrmErrorKind.UNSUPPORTED),
        ({"holder": RecordRef("media", "../a' OR Id != '")}, CrmErrorKind.NOT_FOUND),
    ],
)
async def test_what_cannot_go_in_costs_no_call(world, changes, kind):
    connector, upload = await ready(world)
    with pytest.raises(CrmError) as refusal:
        await connector.upload(replace(upload, **changes))
    assert refusal.value.kind is kind
    assert not world.transport.exchanges


async def test_nothing_is_read_for_a_record_in_the_bin(world):
    connector, upload = await ready(world)
    world.delete_record(upload.holder.record_id)

    def not_asked():
        raise AssertionError("the bytes were read")

    with pytest.raises(CrmError) as refusal:
        await connector.upload(replace(upload, content=not_asked))
    assert refusal.value.kind is CrmErrorKind.NOT_FOUND


# --- what people do to it ---


async def test_a_file_somebody_took_off_its_record_is_not_sent_again(world):
    connector, upload = await ready(world)
    done = await connector.upload(upload)
    for link in world.org.live_of("ContentDocumentLink"):
        world.org.delete(link.id)
    assert await connector.upload(upload) == done
    assert world.transport.exchanges[SENT] == 1
    await connector.remove_upload(unconfirmed(upload))
    assert not world.org.live_of("ContentDocument")


async def test_a_file_somebody_replaced_and_renamed_is_known_and_goes_with_every_version(world):
    connector, upload = await ready(world)
    done = await connector.upload(upload)
    world.org.edit(done.file_id, Title="Orçamento")
    content.replace(world.org, done.file_id, Part("application/pdf", "scan.pdf", b"theirs"))
    assert await connector.upload(upload) == done
    await connector.remove_upload(unconfirmed(upload))
    assert not world.org.live_of("ContentVersion")


async def test_a_file_that_was_given_to_another_user_is_known_by_its_record(world):
    connector, upload = await ready(world)
    done = await connector.upload(upload)
    world.org.edit(the_version(world).id, FirstPublishLocationId=world.org.user_id)  # as Salesforce does then
    assert await connector.upload(upload) == done
    await connector.remove_upload(unconfirmed(upload))
    assert not world.org.live_of("ContentDocument")


async def test_what_people_hang_on_the_record_stays_theirs(world):
    connector, upload = await ready(world)
    values = {"PathOnClient": "contrato.pdf", "FirstPublishLocationId": upload.holder.record_id}
    content.publish(world.org, values, Part("application/pdf", "contrato.pdf", b"theirs"))
    await connector.upload(upload)
    await connector.remove_upload(unconfirmed(upload))
    assert list(world.uploads("contrato.pdf").values()) == [b"theirs"]
    assert not world.uploads(upload.file_name)


# --- on the way out ---


async def test_a_file_outlives_its_record_and_is_removed_all_the_same(world):
    connector, upload = await ready(world)
    await connector.upload(upload)
    await connector.erase_media(upload.holder)
    assert world.org.live_of("ContentDocument")
    removed = await connector.remove_upload(unconfirmed(upload))
    assert (removed.outcome, removed.left) == ("partial", uploads.LEFT_IN_SALESFORCE)
    assert not world.org.live_of("ContentDocument")


async def test_what_is_left_is_said_as_long_as_it_lies_in_the_bin(world):
    connector, upload = await ready(world)
    done = await connector.upload(upload)
    assert [(await connector.remove_upload(done)).outcome for _ in range(2)] == ["partial", "partial"]
    del world.org.records["ContentDocument"][done.file_id]  # fifteen days later
    assert (await connector.remove_upload(done)).outcome == "done"
    assert (await connector.remove_upload(unconfirmed(upload))).outcome == "done"


async def test_a_user_who_may_not_delete_a_file_is_said_so(world):
    connector, upload = await ready(world)
    done = await connector.upload(upload)
    world.org.faults.add(
        Fault("status", 400, "DELETE", "/ContentDocument/", category="INSUFFICIENT_ACCESS_OR_READONLY")
    )
    with pytest.raises(CrmError) as refusal:
        await connector.remove_upload(done)
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN
    assert world.uploads(upload.file_name)


@pytest.mark.parametrize("file_id", ["069/../x", "069' OR"])
async def test_an_id_that_is_none_goes_into_no_address(world, file_id):
    connector, upload = await ready(world)
    assert (await connector.remove_upload(replace(unconfirmed(upload), file_id=file_id))).outcome == "done"
    assert not world.transport.exchanges


# --- where people see it ---


def test_the_page_of_a_new_object_lists_its_files():
    every = media_definitions("en", CUSTOM_OBJECT)
    archive = package.archive(every, every, makes_object=True, language="en")
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        layout = file.read(f"layouts/{package.LAYOUT}.layout").decode()
    assert layout.count("<relatedList>RelatedFileList</relatedList>") == 1


async def test_a_list_salesforce_does_not_know_would_stop_the_deployment(world, monkeypatch):
    monkeypatch.setattr(package, "FILES", "AttachedContentDocuments")
    with pytest.raises(CrmError) as refusal:
        await world.connector().ensure_schema()
    assert refusal.value.kind is CrmErrorKind.FORBIDDEN


async def test_both_sides_of_a_file_are_held_to_the_shapes(world):
    _, upload = await ready(world)
    headers = {"Authorization": f"Bearer {next(iter(world.org.sessions))}"}
    url = f"{BASE}/services/data/v67.0/sobjects/ContentVersion"
    about = {"entity_content": (None, b'{"PathOnClient": "a.mp3"}', "application/json")}
    for body in (
        {"json": {"Title": "a"}},
        {"files": {**about, "VersionData": ("a.mp3", b"-", "audio/mpeg")}},
        {"files": about},
    ):
        with pytest.raises(ShapeFault):
            await world.http.post(url, headers=headers, **body)
    assert not world.uploads(upload.file_name)
