"""The fields every CRM gets, once: names, types, labels in three languages, and what we write into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from acervo.crms.contract import ContactDraft, MediaLink, RecordState
from acervo.crms.mapping import (
    AS_IT_WAS,
    PLAIN,
    YES,
    FieldMap,
    FieldType,
    Place,
    Rule,
    TargetType,
)

TITLE_LIMIT = 120
URL_LIMIT = 200
TEXT_LIMIT = 255
CONSENT = ("unknown", "granted", "denied", "withdrawn")
KINDS = ("voice", "audio", "video", "image", "sticker", "document")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of ours. Labels: at most 25 characters, letters, digits and spaces (Zoho's rule, the tightest)."""

    name: str
    type: FieldType
    en: str
    pt: str
    es: str
    choices: tuple[str, ...] = ()
    is_unique: bool = False

    def label(self, language: str) -> str:
        """In the language of the people who use the CRM; English for one we do not have."""
        return {"pt": self.pt, "es": self.es}.get(language[:2].lower(), self.en)


MEDIA_FIELDS = (
    Field("media_id", "text", "Media id", "Id da mídia", "Id del archivo", is_unique=True),
    Field("title", "text", "Title", "Título", "Título"),
    Field("url", "text", "Open in Acervo", "Abrir no Acervo", "Abrir en Acervo"),
    Field("kind", "choice", "Type", "Tipo", "Tipo", choices=KINDS),
    Field("mime", "text", "Format", "Formato", "Formato"),
    Field("size_bytes", "number", "Size in bytes", "Tamanho em bytes", "Tamaño en bytes"),
    Field("duration_s", "number", "Duration in seconds", "Duração em segundos", "Duración en segundos"),
    Field("chat", "text", "Chat", "Conversa", "Conversación"),
    Field("direction", "choice", "Direction", "Direção", "Dirección", choices=("in", "out")),
    Field("received_at", "moment", "Received", "Recebido", "Recibido"),
    Field("tags", "text", "Tags", "Etiquetas", "Etiquetas"),
    Field("transcript", "long_text", "Transcript", "Transcrição", "Transcripción"),
    Field("consent", "choice", "Consent", "Consentimento", "Consentimiento", choices=CONSENT),
    Field("sha256", "text", "Checksum SHA 256", "Checksum SHA 256", "Checksum SHA 256"),
)

CONTACT_FIELDS = (
    Field(
        "phone_e164", "text", "WhatsApp number", "Número do WhatsApp", "Número de WhatsApp", is_unique=True
    ),
    Field(
        "person_id",
        "text",
        "Acervo person id",
        "Id da pessoa no Acervo",
        "Id de persona Acervo",
        is_unique=True,
    ),
    Field(
        "last_media_url", "text", "Last WhatsApp file", "Último arquivo WhatsApp", "Último archivo WhatsApp"
    ),
    Field(
        "last_media_at", "moment", "Last WhatsApp file date", "Data do último arquivo", "Fecha último archivo"
    ),
    Field("media_count", "number", "WhatsApp files", "Arquivos do WhatsApp", "Archivos de WhatsApp"),
    Field(
        "consent",
        "choice",
        "WhatsApp consent",
        "Consentimento WhatsApp",
        "Consentimiento WhatsApp",
        choices=CONSENT,
    ),
)

_OWN_TYPES: dict[Place, dict[str, FieldType]] = {
    "media": {one.name: one.type for one in MEDIA_FIELDS},
    "contact": {one.name: one.type for one in CONTACT_FIELDS},
}

CHOICE_LABELS = {
    "voice": ("Voice note", "Áudio de voz", "Nota de voz"),
    "audio": ("Audio", "Áudio", "Audio"),
    "video": ("Video", "Vídeo", "Video"),
    "image": ("Picture", "Imagem", "Imagen"),
    "sticker": ("Sticker", "Figurinha", "Sticker"),
    "document": ("Document", "Documento", "Documento"),
    "in": ("Received", "Recebido", "Recibido"),
    "out": ("Sent", "Enviado", "Enviado"),
    "unknown": ("Unknown", "Desconhecido", "Desconocido"),
    "granted": ("Granted", "Concedido", "Concedido"),
    "denied": ("Denied", "Negado", "Denegado"),
    "withdrawn": ("Withdrawn", "Retirado", "Retirado"),
}


def choice_label(choice: str, language: str) -> str:
    """How a choice is shown in the CRM; the stored value is the same in every language."""
    english, portuguese, spanish = CHOICE_LABELS[choice]
    return {"pt": portuguese, "es": spanish}.get(language[:2].lower(), english)


@dataclass(frozen=True, slots=True)
class Placed:
    """One value on its way into one field of the CRM."""

    name: str
    """Theirs."""
    type: TargetType
    text: str
    """Empty: to be emptied."""
    ours: str | None
    """Our name, if we made this field."""

    @property
    def as_json(self) -> str | int | bool | None:
        """A number, yes or no, a text; nothing empties. What a vendor writes in ways of its own is its adapter's."""
        if not self.text:
            return None
        match self.type:
            case "number":
                return int(self.text)
            case "yes_no":
                return self.text == "1"
        return self.text


def written(item: MediaLink, *, max_text: int = 30_000) -> dict[str, str]:
    """What the CRM shall hold for this file, by our field names, in one form for all CRMs: numbers without
    fraction, moments as ISO 8601 in UTC to the second, nothing as an empty string. What a person switched off is
    not there; what they gave another form has it."""
    rules = item.field_map.media
    tags = rules.get("tags", AS_IT_WAS)
    values = {
        "media_id": item.media_id,
        "title": _line(item.title, TITLE_LIMIT),
        "url": item.url,
        "kind": item.kind,
        "mime": _line(item.mime, TEXT_LIMIT),
        "size_bytes": str(item.size_bytes),
        "duration_s": "" if item.duration_s is None else str(round(item.duration_s)),
        "chat": _line(item.chat or "", TEXT_LIMIT),
        "direction": item.direction,
        "received_at": moment(item.received_at),
        "tags": _line((tags.detail if tags.form == "joined" else "; ").join(item.tags), TEXT_LIMIT),
        "transcript": cut((item.transcript or "").strip(), max_text),
        "consent": item.consent,
        "sha256": item.sha256,
    }
    return _formed(values, rules)


def rolled_up(draft: ContactDraft) -> dict[str, str]:
    """The same of a customer: what is known, and not switched off."""
    known = {
        "last_media_url": draft.last_media_url,
        "last_media_at": moment(draft.last_media_at) if draft.last_media_at else None,
        "media_count": None if draft.media_count is None else str(draft.media_count),
        "consent": draft.consent,
    }
    values = {name: value for name, value in known.items() if value is not None}
    return _formed(values, draft.field_map.contact)


def placed(item: MediaLink, own: Mapping[str, str], *, max_text: int = 30_000) -> list[Placed]:
    """What goes into which field of a file's record. `own`: our fields under the names we made them. Those of them
    that are not used any more are emptied: an upsert leaves what is not named."""
    return _placed("media", written(item, max_text=max_text), item.field_map, own)


def placed_roll_ups(draft: ContactDraft, own: Mapping[str, str]) -> list[Placed]:
    """The same of the customer's record. A value that is not known is not touched."""
    known = rolled_up(replace(draft, field_map=PLAIN))
    roll_ups = {name: theirs for name, theirs in own.items() if name in known}
    return _placed("contact", rolled_up(draft), draft.field_map, roll_ups)


def drifted(item: MediaLink, state: RecordState, *, max_text: int = 30_000) -> tuple[str, ...]:
    """The fields that no longer hold what we wrote. A field the connector does not read back is not judged."""
    expected = written(item, max_text=max_text)
    return tuple(
        name for name, value in state.values.items() if name in expected and (value or "") != expected[name]
    )


def with_roll_ups(
    columns: Iterable[str], own: Mapping[str, str], drafts: Iterable[ContactDraft]
) -> tuple[str, ...]:
    """What is read of customers' records to complete them: with the fields of their own that our roll-ups go to.
    `own`: the ones we made."""
    theirs = (name for one in drafts for name in one.field_map.names("contact", own).values())
    return tuple(dict.fromkeys((*columns, *theirs)))


def stored_type(place: Place, name: str, field_map: FieldMap = PLAIN) -> TargetType:
    """Of the field it goes into."""
    rule = field_map.rules(place).get(name, AS_IT_WAS)
    return rule.to.type if rule.to else _OWN_TYPES[place].get(name, "text")


def moment(value: datetime) -> str:
    """ISO 8601 in UTC to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(value: object) -> datetime | None:
    """What a CRM's moment or day means; None for what is neither."""
    try:
        return _read_moment(str(value)) if value else None
    except ValueError:
        return None


def canonical(
    values: Mapping[str, str | None], field_map: FieldMap = PLAIN, place: Place = "media"
) -> dict[str, str | None]:
    """Values read from a CRM in the form of `written`: `42.0` is `42`, moments lose their fraction."""
    return {name: _canonical(stored_type(place, name, field_map), value) for name, value in values.items()}


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; an ellipsis tells that something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _line(text: str, limit: int) -> str:
    return cut(" ".join(text.split()), limit)


def _formed(values: Mapping[str, str], rules: Mapping[str, Rule]) -> dict[str, str]:
    return {
        name: _form(value, rules.get(name, AS_IT_WAS))
        for name, value in values.items()
        if not rules.get(name, AS_IT_WAS).is_off
    }


def _form(value: str, rule: Rule) -> str:
    match rule.form:
        case "upper":
            value = value.upper()
        case "lower":
            value = value.lower()
        case "shortened":
            value = cut(value, int(rule.detail))
        case "day":
            value = value[:10]
        case "words":
            value = choice_label(value, rule.detail) if value in CHOICE_LABELS else value
        case "yes_no":
            value = "1" if value in YES else "0"
    if rule.to and rule.to.limit:
        value = cut(value, rule.to.limit)
    return value


def _placed(
    place: Place, values: Mapping[str, str], field_map: FieldMap, own: Mapping[str, str]
) -> list[Placed]:
    found: list[Placed] = []
    for name, theirs in own.items():
        rule = field_map.rules(place).get(name, AS_IT_WAS)
        if rule.to and not rule.is_off:
            found.append(Placed(rule.to.name, rule.to.type, values.get(name, ""), None))
        is_used = not (rule.to or rule.is_off)
        found.append(
            Placed(
                theirs,
                _OWN_TYPES[place].get(name, "text"),
                values.get(name, "") if is_used else "",
                name,
            )
        )
    return found


def _canonical(type_: TargetType, value: str | None) -> str | None:
    if not value:
        return None
    try:
        if type_ == "number":
            return str(round(float(value)))
        if type_ == "moment":
            return moment(_read_moment(value))
        if type_ == "day":
            return _read_moment(value).date().isoformat() if value.isdigit() else value[:10]
        if type_ == "yes_no":
            return {"true": "1", "false": "0"}.get(value.lower(), value)
    except ValueError:
        return value  # somebody wrote something else there: shown as it is, so that it counts as drift
    return value


def _read_moment(value: str) -> datetime:
    if value.isdigit():
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
