"""Records as the rest of Acervo names them, and the page in Zendesk where an agent sees one."""

from __future__ import annotations

from dataclasses import dataclass

from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef
from acervo.crms.zendesk.api import MEDIA_OBJECT

_PAGES = {
    "contact": "/agent/users/{id}",
    "ticket": "/agent/tickets/{id}",
    "media": f"/agent/custom-objects/{MEDIA_OBJECT}/records/{{id}}",
}


@dataclass(frozen=True, slots=True)
class Records:
    """Names the records of one account."""

    base_url: str

    def ref(self, object_type: str, record_id: str) -> RecordRef:
        return RecordRef(object_type, record_id, self._url(object_type, record_id))

    def note(self, ticket_id: str, media_id: str) -> RecordRef:
        """A file's note: comments cannot be changed, so it is whichever comment of the ticket tells it last."""
        return RecordRef("note", f"{ticket_id}/{media_id}", self._url("ticket", ticket_id))

    def _url(self, object_type: str, record_id: str) -> str | None:
        page = _PAGES.get(object_type)
        return self.base_url + page.format(id=record_id) if page else None


def note_parts(ref: RecordRef) -> tuple[str, str]:
    """Ticket and file of a note. Raises CrmError NOT_FOUND for what no note of ours is called."""
    ticket_id, _, media_id = ref.record_id.partition("/")
    if not ticket_id.isdigit() or not media_id:
        raise CrmError(CrmErrorKind.NOT_FOUND, "this is not the name of a note")
    return ticket_id, media_id
