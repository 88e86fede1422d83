"""Every table, one file per noun."""

from acervo.models.audit import AuditEntry, Deed, by_member
from acervo.models.connection import Connection, Purpose
from acervo.models.data_key import DataKey
from acervo.models.delivery import Delivery
from acervo.models.media import Kind, MediaFile
from acervo.models.member import Ability, Limit, Member, Role, Team
from acervo.models.message import Chat, Direction, Message
from acervo.models.person import Person, PersonIdentifier
from acervo.models.receipt import Receipt
from acervo.models.record_link import RecordLink
from acervo.models.rendition import Rendition, RenditionKind
from acervo.models.sealed import SealedObject, Sealing
from acervo.models.workspace import Workspace

__all__ = [
    "Ability",
    "AuditEntry",
    "Chat",
    "Connection",
    "DataKey",
    "Deed",
    "Delivery",
    "Direction",
    "Kind",
    "Limit",
    "MediaFile",
    "Member",
    "Message",
    "Person",
    "PersonIdentifier",
    "Purpose",
    "Receipt",
    "RecordLink",
    "Rendition",
    "RenditionKind",
    "Role",
    "SealedObject",
    "Sealing",
    "Team",
    "Workspace",
    "by_member",
]
