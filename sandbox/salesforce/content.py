"""Files of the simulated organisation: versions with their bytes, the documents they are of, and where those hang."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.forms import Part
from sandbox.salesforce.fields import Refusal
from sandbox.salesforce.org import Org, Record

PATH = "ContentDocument.LatestPublishedVersion.PathOnClient"
"""Of a link, as a query names it."""


def publish(org: Org, values: Mapping[str, Any], file: Part) -> Record:
    """A file hung on a record by whoever calls: with its document, and a link to its owner and to the record."""
    _keep_limits(org, file)
    if not values.get("PathOnClient"):
        raise Refusal(
            400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [PathOnClient]", ["PathOnClient"]
        )
    version = org.write("ContentVersion", None, values)
    title = values.get("Title") or str(values["PathOnClient"]).rpartition(".")[0]
    document_id = org.add("ContentDocument", Title=title)
    _keep(org, version, document_id, file)
    location = version.values.get("FirstPublishLocationId")
    _hang(org, document_id, org.user_id, share_type="I", visibility="AllUsers")
    if location:
        # without sites for customers there is nobody to hide a file from
        _hang(
            org,
            document_id,
            location,
            share_type="V",
            visibility="InternalUsers" if org.has_sites else "AllUsers",
        )
    org.edit(document_id, LatestPublishedVersionId=version.id)
    _say_path(org, document_id, version)
    return version


def replace(org: Org, document_id: str, file: Part) -> None:
    """A person uploads a new version under a name of their own."""
    version_id = org.add("ContentVersion", Title="Scan", PathOnClient=file.file_name)
    version = org.live(version_id)
    _keep(org, version, document_id, file)
    org.edit(document_id, LatestPublishedVersionId=version_id)
    _say_path(org, document_id, version)


def held(org: Org, file_name: str) -> dict[str, bytes]:
    """By the ids of their documents: the bytes under this name that hang on a record which is there."""
    return {
        link.values["ContentDocumentId"]: latest(org, link)[1].content
        for link in org.live_of("ContentDocumentLink")
        if link.values[PATH] == file_name and link.values["LinkedEntityId"] != org.user_id
    }


def hanging_on(org: Org, record_id: str) -> Iterator[tuple[Record, Part]]:
    """The latest versions of its files, with their bytes."""
    for link in org.live_of("ContentDocumentLink"):
        if link.values["LinkedEntityId"] == record_id:
            yield latest(org, link)


def latest(org: Org, link: Record) -> tuple[Record, Part]:
    document = org.live(link.values["ContentDocumentId"])
    version = org.live(document.values["LatestPublishedVersionId"])
    return version, org.bytes_of[version.id]


def _keep_limits(org: Org, file: Part) -> None:
    size_bytes = len(file.content)
    if size_bytes > org.most_file_bytes:
        message = f"Maximum size of request reached. Maximum size of request is {org.most_file_bytes} bytes."
        raise Refusal(400, "REQUEST_LIMIT_EXCEEDED", message)
    if size_bytes + sum(len(one.content) for one in org.bytes_of.values()) > org.file_room_bytes:
        raise Refusal(400, "STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")
    if not org.files_a_day.admit():
        raise Refusal(400, "LIMIT_EXCEEDED", "You have published the most versions of 24 hours")


def _keep(org: Org, version: Record, document_id: str, file: Part) -> None:
    extension = str(version.values["PathOnClient"]).rpartition(".")[2]
    org.edit(
        version.id, ContentDocumentId=document_id, ContentSize=len(file.content), FileExtension=extension
    )
    org.bytes_of[version.id] = file


def _hang(org: Org, document_id: str, record_id: str, *, share_type: str, visibility: str) -> None:
    org.add(
        "ContentDocumentLink",
        ContentDocumentId=document_id,
        LinkedEntityId=record_id,
        ShareType=share_type,
        Visibility=visibility,
    )


def _say_path(org: Org, document_id: str, version: Record) -> None:
    for link in org.live_of("ContentDocumentLink"):
        if link.values["ContentDocumentId"] == document_id:
            org.edit(link.id, **{PATH: version.values["PathOnClient"]})
