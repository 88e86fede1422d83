"""What goes to a CRM and into which of its fields: shown on a real file while it is chosen, saved with a reason, and
taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from acervo import journey
from acervo.base import ids
from acervo.base.errors import Refused
from acervo.crms.contract import CrmError, CrmField
from acervo.crms.fields import Field
from acervo.crms.mapping import AS_IT_WAS, FORMS, LANGUAGES, SEPARATORS, Place, Rule, Target, forms_for
from acervo.deliver import mapping, uploads
from acervo.deliver.mapping import Rules, Switch
from acervo.govern import mappings as govern
from acervo.govern.mappings import PLACES, Preview, Theirs, UnfitMapping
from acervo.govern.media_rules import ChangedMeanwhile
from acervo.models import (
    Ability,
    Connection,
    Kind,
    MappingVersion,
    MediaFile,
    Member,
    by_member,
)
from acervo.models.media import MediaFiles
from acervo.organise import search
from acervo.organise.search import Wish
from acervo.web import crm_guidance, mapping_words, words
from acervo.web.authors import names_of
from acervo.web.guards import MemberRequest, for_members, needs, visible_crm
from acervo.web.words import Words

SHOWN_VERSIONS: Final = 20
OFFERED_FILES: Final = 12
LONGEST_QUERY: Final = 2_000
SHOWN: Final[tuple[Place, ...]] = ("media", "contact")
OFF: Final = "off"
TO: Final = "to:"


@dataclass(frozen=True, slots=True)
class Row:
    """One field of ours as the page shows it."""

    key: str
    """`media.tags`."""
    label: str
    chosen: str
    """Empty, `off`, or `to:` and name and type of theirs."""
    options: Sequence[tuple[str, Words]]
    can_move: bool
    forms: Sequence[tuple[str, Words]]
    form: str
    detail: str
    error: Words = ""

    @property
    def html_id(self) -> str:
        return self.key.replace(".", "-")

    @property
    def has_words(self) -> bool:
        return any(form == "words" for form, _said in self.forms)


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of file."""

    kind: str
    label: Words
    icon: str
    go: str
    query: str
    with_bytes: bool
    error: Words = ""


@dataclass(frozen=True, slots=True)
class Value:
    """One line of the preview."""

    name: str
    label: str
    target: str
    """A field of their own, as its API calls it."""
    text: str


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def page(request: MemberRequest, connection: UUID) -> HttpResponseBase:
    account = visible_crm(request.user, connection)
    theirs, trouble = _theirs(account)
    number, rules = mapping.current(account.pk)
    if request.method == "GET":
        return _page(request, account, theirs, rules, seen=number, trouble=trouble)
    typed, seen = _typed(request.POST, theirs, rules), _number(request.POST.get("seen"))
    try:
        if trouble:
            raise Refused(code="crm_away")
        saved = govern.change(
            account,
            typed,
            theirs,
            seen=seen,
            reason=request.POST.get("reason", ""),
            by=by_member(request.user),
        )
    except UnfitMapping as error:
        return _page(request, account, theirs, typed, seen=seen, faults=error.faults, status=422)
    except Refused as error:
        status = 409 if isinstance(error, ChangedMeanwhile) else 422
        return _page(
            request, account, theirs, typed, seen=seen, trouble=trouble, refused=error.code, status=status
        )
    journey.start_deliveries()
    messages.success(request, _("Nothing was changed.") if saved == number else _("Saved."))
    return redirect("mapping", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def preview(request: MemberRequest, connection: UUID) -> HttpResponse:
    """The same file with what is being chosen, while somebody chooses. Nothing is saved, and the CRM is not asked."""
    account = visible_crm(request.user, connection)
    rules = mapping.current(account.pk)[1]
    typed = _typed(request.POST, None, rules)
    context = _preview(request.user, account, typed, request.POST.get("file", ""))
    return render(request, "_mapping_preview.html", {"connection": account, **context})


@require_POST
@for_members
@needs(Ability.CONNECT)
def restore(request: MemberRequest, connection: UUID) -> HttpResponse:
    """An earlier version again, as a new one."""
    account = visible_crm(request.user, connection)
    number = _number(request.POST.get("version"))
    try:
        govern.restore(
            account,
            number,
            seen=_number(request.POST.get("seen")),
            reason=_("Back to version %(number)s") % {"number": number},
            by=by_member(request.user),
        )
    except MappingVersion.DoesNotExist:
        messages.error(request, _("There is no such version."))
    except Refused as error:
        messages.error(request, str(mapping_words.refusal(error.code)))
    else:
        messages.success(request, _("It is as it was in version %(number)s.") % {"number": number})
    return redirect("mapping", account.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def rewrite(request: MemberRequest, connection: UUID) -> HttpResponse:
    """What lies in the CRM as an earlier version wrote it is written anew."""
    account = visible_crm(request.user, connection)
    count = govern.rewrite(account, by_member(request.user))
    journey.start_deliveries()
    said = ngettext("%(count)s file is written anew.", "%(count)s files are written anew.", count)
    messages.success(request, said % {"count": count})
    return redirect("mapping", account.pk)


def _page(
    request: MemberRequest,
    account: Connection,
    theirs: Theirs,
    shown: Rules,
    *,
    seen: int,
    trouble: Words = "",
    faults: Mapping[str, str] | None = None,
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    faults = faults or {}
    places = {place: list(_rows(place, shown, theirs, faults)) for place in PLACES}
    kinds = [_kind_row(kind, shown, faults) for kind in Kind.values]
    wrong = [
        (row.label, row.error, f"t-{row.html_id}") for rows in places.values() for row in rows if row.error
    ]
    wrong += [(str(row.label), row.error, f"q-{row.kind}") for row in kinds if row.error]
    context = {
        "connection": account,
        "vendor": crm_guidance.vendor(account.kind),
        "our_rows": places,
        "kinds": kinds,
        "wrong": wrong,
        "gos": mapping_words.GOS,
        "takes_bytes": uploads.terms(account),
        "separators": SEPARATORS,
        "word_languages": LANGUAGES,
        "seen": seen,
        "is_notes": theirs.media is None and theirs.contact is not None and not trouble,
        "is_fieldless": theirs.contact is None,
        "trouble": trouble,
        "refused": mapping_words.refusal(refused) if refused else "",
        "reason": request.POST.get("reason", ""),
        "is_unsaved": request.method == "POST",
        "versions": list(_versions(request.user, account)),
        "outdated": mapping.outdated(account.pk),
        "is_reason_missing": refused == "reason_missing",
        **_preview(request.user, account, shown, _asked_file(request)),
    }
    return render(request, "mapping.html", context, status=status)


def _asked_file(request: MemberRequest) -> str:
    return request.POST.get("file", "") or request.GET.get("file", "")


def _rows(place: Place, shown: Rules, theirs: Theirs, faults: Mapping[str, str]) -> Iterator[Row]:
    for one in PLACES[place]:
        rule = shown.field_map(0).rules(place).get(one.name, AS_IT_WAS)
        targets = [] if one.name == "title" else govern.fitting(one, theirs.of(place))
        to = rule.to
        is_lost = to is not None and all(field.name != to.name for field in targets)
        fault = faults.get(f"{place}.{one.name}", "not_there" if is_lost and theirs.of(place) else "")
        yield Row(
            key=f"{place}.{one.name}",
            label=_label(one),
            chosen=OFF if rule.is_off else f"{TO}{to.name}:{to.type}" if to else "",
            options=_options(targets, to if is_lost else None, is_fieldless=theirs.contact is None),
            can_move=one.name != "title",
            forms=_forms(one, targets),
            form=rule.form,
            detail=rule.detail,
            error=mapping_words.fault(fault) if fault else "",
        )


def _options(
    targets: Sequence[CrmField], lost: Target | None, *, is_fieldless: bool
) -> list[tuple[str, Words]]:
    own = _("in each message") if is_fieldless else _("our own field")
    ours = [("", own), (OFF, _("nowhere: switched off"))]
    theirs = [(f"{TO}{field.name}:{field.type}", field.label) for field in targets]
    gone = [(f"{TO}{lost.name}:{lost.type}", lost.name)] if lost else []
    return [*ours, *theirs, *gone]


def _forms(one: Field, targets: Sequence[CrmField]) -> list[tuple[str, Words]]:
    """Every form it may take somewhere; which go with the field chosen is checked when it is saved."""
    types = [None, *(field.type for field in targets)]
    found = {form for type_ in types for form in forms_for(one.name, one.type, type_)}
    return [(form, said) for form, said in mapping_words.FORMS.items() if form in found]


def _kind_row(kind: str, shown: Rules, faults: Mapping[str, str]) -> KindRow:
    switch = shown.switch(kind)
    fault = faults.get(f"kind.{kind}", "")
    return KindRow(
        kind,
        words.KINDS[kind],
        words.KIND_ICONS[kind],
        switch.go,
        switch.query,
        switch.with_bytes,
        mapping_words.fault(fault) if fault else "",
    )


def _typed(sent: Mapping[str, Any], theirs: Theirs | None, before: Rules) -> Rules:
    """As the page sent it, right or wrong. `theirs` tells the type of a field that was chosen; without it, the page's
    own word is taken, which is good enough to show."""
    places = {
        place: {one.name: _typed_rule(sent, place, one, theirs, before) for one in fields}
        for place, fields in PLACES.items()
    }
    kinds = {kind: _typed_switch(sent, kind) for kind in Kind.values}
    return Rules(media=places["media"], contact=places["contact"], kinds=kinds)


def _typed_rule(
    sent: Mapping[str, Any], place: Place, one: Field, theirs: Theirs | None, before: Rules
) -> Rule:
    key = f"{place}.{one.name}"
    chosen = str(sent.get(f"to.{key}", ""))
    if chosen == OFF:
        return Rule(is_off=True)
    target = _target(chosen, place, one, theirs, before) if chosen.startswith(TO) else None
    form = str(sent.get(f"form.{key}", "as_is"))
    allowed = forms_for(one.name, one.type, target.type if target else None)
    if form not in mapping_words.FORMS or (form not in allowed and form == "as_is" and allowed):
        form = allowed[0]  # a day from a moment, yes or no from a choice: the only way it fits
    detail = str(sent.get(f"{form}.{key}", ""))[:64] if form in ("shortened", "joined", "words") else ""
    return Rule(target, form=form, detail=detail.strip() if form == "shortened" else detail)  # type: ignore[arg-type]


def _target(chosen: str, place: Place, one: Field, theirs: Theirs | None, before: Rules) -> Target:
    name = chosen.removeprefix(TO)
    if theirs is None:
        name, _colon, type_ = name.rpartition(":")
        known = {to for _own, to in FORMS if to}
        return Target(name, type_ if type_ in known else "text")  # type: ignore[arg-type]
    name = name.rpartition(":")[0] or name
    found = next((field for field in theirs.of(place) if field.name == name), None)
    if found:
        return Target(found.name, found.type, found.limit)
    old = before.field_map(0).rules(place).get(one.name, AS_IT_WAS).to
    return old if old and old.name == name else Target(name, "other")


def _typed_switch(sent: Mapping[str, Any], kind: str) -> Switch:
    go = str(sent.get(f"go.{kind}", "all"))
    if go == "none":
        return Switch("none")
    with_bytes = bool(sent.get(f"bytes.{kind}"))
    if go != "some":
        return Switch(with_bytes=with_bytes)
    query = str(sent.get(f"query.{kind}", "")).strip()[:LONGEST_QUERY]
    return Switch("some", _plain(query), with_bytes)


def _plain(query: str) -> str:
    """A word alone means that it is looked for; the library's whole address is good, too."""
    if "=" not in query and "/" not in query and query:
        return f"q={query}"
    return query.rpartition("?")[2] if query.startswith(("/library", "http")) else query


def _preview(member: Member, account: Connection, rules: Rules, asked: str) -> dict[str, Any]:
    offered = _offered(member)
    chosen = next((file for file in offered if file.slug == asked), None) or _file(member, asked)
    chosen = chosen or (offered[0] if offered else None)
    if chosen is None:
        return {"offered": [], "file": None, "values": {}}
    if chosen not in offered:
        offered = [chosen, *offered]
    seen = govern.preview(account, chosen, rules)
    return {
        "offered": offered,
        "file": chosen,
        "obstacle": mapping_words.obstacle(seen.obstacle) if seen.obstacle else "",
        "values": {place: list(_values(place, rules, seen)) for place in SHOWN},
    }


def _values(place: Place, rules: Rules, seen: Preview) -> Iterator[Value]:
    said = seen.media if place == "media" else seen.contact
    for one in PLACES[place]:
        rule = rules.field_map(0).rules(place).get(one.name, AS_IT_WAS)
        if one.name in said:
            yield Value(one.name, _label(one), rule.to.name if rule.to else "", said[one.name])


def _offered(member: Member) -> list[MediaFile]:
    """The newest of each kind first, then the newest."""
    newest = list(_files(member)[: OFFERED_FILES * 5])
    first: dict[str, MediaFile] = {}
    for file in newest:
        first.setdefault(file.kind, file)
    rest = [file for file in newest if file not in first.values()]
    return [*first.values(), *rest][:OFFERED_FILES]


def _file(member: Member, asked: str) -> MediaFile | None:
    """By its address or identifier, or the newest that is found by words."""
    text = asked.strip()
    if not text:
        return None
    try:
        return _files(member).filter(pk=ids.parse(text.rstrip("/").rpartition("/")[2])).first()
    except ValueError:
        found = search.found(member, Wish(text=text[:200]))
        return _files(member).filter(pk__in=found.values("pk")).first()


def _files(member: Member) -> MediaFiles:
    kept = MediaFile.objects.visible_to(member).filter(stored_at__isnull=False, gone_at=None)
    return kept.select_related("person", "connection", "workspace").order_by("-received_at", "-id")


def _versions(member: Member, account: Connection) -> Iterator[tuple[MappingVersion, Words]]:
    found = MappingVersion.objects.visible_to(member).filter(connection=account).order_by("-number")
    rows = list(found[:SHOWN_VERSIONS])
    names = names_of(member, [row.made_by for row in rows])
    yield from ((row, names[row.made_by]) for row in rows)


def _theirs(account: Connection) -> tuple[Theirs, Words]:
    """And why they cannot be read, if so."""
    try:
        return govern.read_fields(account), ""
    except CrmError as error:
        return Theirs(), crm_guidance.refused(account.kind, error.kind, error.vendor_code)


def _label(one: Field) -> str:
    return one.label(get_language() or "en")


def _number(said: str | None) -> int:
    return int(said) if said and said.isdigit() and len(said) < 9 else 0
