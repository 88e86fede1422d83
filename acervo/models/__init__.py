"""Every table, one file per noun."""

from acervo.models.account_event import AccountEvent, Severity
from acervo.models.api_token import ApiToken, KeptAnswer, Scope, by_token
from acervo.models.audit import AuditEntry, Deed, by_member
from acervo.models.backfill import Backfill
from acervo.models.chat_import import ChatImport
from acervo.models.connection import Connection, LegalBasis, OnRevoke, Purpose, Repairs
from acervo.models.consent import ConsentAnswer
from acervo.models.contact_decision import ContactDecision, Verdict
from acervo.models.crm_setup import CrmSetup
from acervo.models.crm_upload import CrmUpload
from acervo.models.data_key import DataKey
from acervo.models.delivery import Delivery
from acervo.models.embed import Embed, EmbedAgent, EmbedKey, EmbedSession, ShownTo
from acervo.models.mapping import MappingVersion
from acervo.models.media import Kind, MediaFile
from acervo.models.media_policy import MadeAt, MediaPolicy, SizeLimit, When
from acervo.models.member import Ability, Limit, Member, Role, Team
from acervo.models.message import Chat, Direction, Message
from acervo.models.person import Person, PersonIdentifier
from acervo.models.probe import Probe
from acervo.models.receipt import Receipt
from acervo.models.reconciliation import Discrepancy, Fault, Reconciliation, Settlement
from acervo.models.record_link import RecordLink
from acervo.models.remake import Remake
from acervo.models.rendition import Rendition, RenditionKind, UnmadeRendition
from acervo.models.sealed import SealedObject, Sealing
from acervo.models.sending import AnswerPolicy, EarlyStatus, Sending, SendingPurpose
from acervo.models.setup import Setup, SetupLink, Step
from acervo.models.subscription import (
    Detail,
    Event,
    EventDelivery,
    EventKind,
    EventTry,
    Happened,
    Subscription,
)
from acervo.models.tag import FileTag, Tag
from acervo.models.transcript import Transcriber, Transcript, TranscriptEdit, TranscriptSegment
from acervo.models.workspace import Workspace

__all__ = [
    "Ability",
    "AccountEvent",
    "AnswerPolicy",
    "ApiToken",
    "AuditEntry",
    "Backfill",
    "Chat",
    "ChatImport",
    "Connection",
    "ConsentAnswer",
    "ContactDecision",
    "CrmSetup",
    "CrmUpload",
    "DataKey",
    "Deed",
    "Delivery",
    "Detail",
    "Direction",
    "Discrepancy",
    "EarlyStatus",
    "Embed",
    "EmbedAgent",
    "EmbedKey",
    "EmbedSession",
    "Event",
    "EventDelivery",
    "EventKind",
    "EventTry",
    "Fault",
    "FileTag",
    "Happened",
    "KeptAnswer",
    "Kind",
    "LegalBasis",
    "Limit",
    "MadeAt",
    "MappingVersion",
    "MediaFile",
    "MediaPolicy",
    "Member",
    "Message",
    "OnRevoke",
    "Person",
    "PersonIdentifier",
    "Probe",
    "Purpose",
    "Receipt",
    "Reconciliation",
    "RecordLink",
    "Remake",
    "Rendition",
    "RenditionKind",
    "Repairs",
    "Role",
    "Scope",
    "SealedObject",
    "Sealing",
    "Sending",
    "SendingPurpose",
    "Settlement",
    "Setup",
    "SetupLink",
    "Severity",
    "ShownTo",
    "SizeLimit",
    "Step",
    "Subscription",
    "Tag",
    "Team",
    "Transcriber",
    "Transcript",
    "TranscriptEdit",
    "TranscriptSegment",
    "UnmadeRendition",
    "Verdict",
    "When",
    "Workspace",
    "by_member",
    "by_token",
]
