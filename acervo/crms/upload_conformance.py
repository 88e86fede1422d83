"""What a CRM connector must survive where the bytes themselves go into the CRM: the same suite, with more scenarios."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from acervo.crms.conformance import SOUND, ConnectorScenarios, World, an_item, an_upload
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, RecordRef, Upload, Uploaded


class UploadWorld(World):
    """A simulated account that holds files."""

    @abstractmethod
    def uploads(self, file_name: str) -> Mapping[str, bytes]:
        """By the CRM's ids of files: what it holds under this name now and shows on a record; more than one is a
        duplicate."""

    @abstractmethod
    def lose_next_answer_about_an_upload(self) -> None:
        """The next bytes arrive and are kept, and the answer never comes back."""


class StorageFell(Exception):
    """Our own storage, in the middle of a file."""


class UploadScenarios(ConnectorScenarios):
    """`make_world` makes an `UploadWorld`."""

    async def an_upload_of(self, world: UploadWorld, connector: Connector, **changes: bytes) -> Upload:
        """Of a file that is written, on the record that can hold it."""
        contact = await self.a_contact(world, connector)
        item = an_item(contact=contact)
        (result,) = await connector.upsert_media([item])
        assert result.ref
        return an_upload(self.holder(world, connector, result.ref, contact), item.media_id, **changes)

    def holder(self, world: World, connector: Connector, record: RecordRef, contact: RecordRef) -> RecordRef:
        assert connector.uploads
        if record.object_type in connector.uploads.hangs_on:
            return record
        return RecordRef(world.related_type, world.add_deal(contact.record_id, "Roteador"))

    async def _sent_without_an_answer(self, world: UploadWorld, connector: Connector, upload: Upload) -> None:
        """The bytes arrive; a connector that finds out by itself may say so."""
        world.lose_next_answer_about_an_upload()
        try:
            await connector.upload(upload)
        except CrmError as error:
            assert error.is_retryable

    async def test_bytes_go_in_once_whatever_became_of_the_answer(self, world: UploadWorld) -> None:
        connector = await self.ready(world)
        upload = await self.an_upload_of(world, connector)
        await self._sent_without_an_answer(world, connector, upload)
        first, second = await world.connector().upload(upload), await connector.upload(upload)
        assert first == second
        assert world.uploads(upload.file_name) == {first.file_id: SOUND}
        assert (first.media_id, first.file_name) == (upload.media_id, upload.file_name)

    async def test_files_of_one_customer_stay_apart(self, world: UploadWorld) -> None:
        connector = await self.ready(world)
        one = await self.an_upload_of(world, connector, content=b"one" * 50)
        other = await self.an_upload_of(world, connector, content=b"other" * 50)
        done = [await connector.upload(each) for each in (one, other)]
        assert world.uploads(one.file_name) == {done[0].file_id: b"one" * 50}
        assert world.uploads(other.file_name) == {done[1].file_id: b"other" * 50}
        await connector.remove_upload(done[0])
        assert not world.uploads(one.file_name)
        assert world.uploads(other.file_name) == {done[1].file_id: b"other" * 50}

    async def test_what_our_storage_could_not_give_leaves_nothing(self, world: UploadWorld) -> None:
        connector = await self.ready(world)
        upload = await self.an_upload_of(world, connector)

        async def broken() -> AsyncIterator[bytes]:
            yield SOUND[:1000]
            raise StorageFell

        with pytest.raises((StorageFell, CrmError)):
            await connector.upload(replace(upload, content=broken))
        assert not world.uploads(upload.file_name)
        done = await connector.upload(upload)
        assert world.uploads(upload.file_name) == {done.file_id: SOUND}

    async def test_removed_bytes_are_gone_and_removing_again_is_well(self, world: UploadWorld) -> None:
        connector = await self.ready(world)
        upload = await self.an_upload_of(world, connector)
        done = await connector.upload(upload)
        for _ in range(2):
            assert (await world.connector().remove_upload(done)).outcome in ("done", "partial")
        assert not world.uploads(upload.file_name)

    async def test_bytes_nobody_confirmed_are_found_and_removed(self, world: UploadWorld) -> None:
        connector = await self.ready(world)
        upload = await self.an_upload_of(world, connector)
        await self._sent_without_an_answer(world, connector, upload)
        unknown = Uploaded(upload.media_id, upload.file_name, upload.holder)
        assert (await connector.remove_upload(unknown)).outcome in ("done", "partial")
        assert not world.uploads(upload.file_name)
        assert (await connector.remove_upload(unknown)).outcome in ("done", "partial")

    async def test_a_later_write_of_the_file_leaves_its_bytes_where_they_are(
        self, world: UploadWorld
    ) -> None:
        connector = await self.ready(world)
        contact = await self.a_contact(world, connector)
        item = an_item(contact=contact)
        (result,) = await connector.upsert_media([item])
        assert result.ref
        holder = self.holder(world, connector, result.ref, contact)
        done = await connector.upload(an_upload(holder, item.media_id))
        (again,) = await connector.upsert_media([replace(item, title="Now called", known_ref=result.ref)])
        assert again.error is None
        assert world.uploads(done.file_name) == {done.file_id: SOUND}

    async def test_a_holder_that_is_gone_is_said(self, world: UploadWorld) -> None:
        connector = await self.ready(world)
        upload = await self.an_upload_of(world, connector)
        gone = replace(upload, holder=replace(upload.holder, record_id=self.no_record(upload.holder)))
        with pytest.raises(CrmError) as refusal:
            await connector.upload(gone)
        assert refusal.value.kind in (CrmErrorKind.NOT_FOUND, CrmErrorKind.VALIDATION)
        assert not world.uploads(upload.file_name)

    def no_record(self, like: RecordRef) -> str:
        """An id of that form which nothing has."""
        return like.record_id[:-4] + "9999"

    async def test_nothing_of_it_shows_in_logs_or_reprs(
        self, world: UploadWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        connector = await self.ready(world)
        upload = await self.an_upload_of(world, connector)
        done = await connector.upload(upload)
        gone = replace(upload, holder=replace(upload.holder, record_id=self.no_record(upload.holder)))
        with pytest.raises(CrmError) as refusal:
            await connector.upload(gone)
        logged = [(record.getMessage(), vars(record)) for record in caplog.records]
        assert world.token not in repr([connector, upload, done, vars(refusal.value), logged])
