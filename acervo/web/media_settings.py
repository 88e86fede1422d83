"""What is made of files and how large they may be: read by those who operate, changed by those who configure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from acervo import journey
from acervo.govern.media_rules import Change, ChangedMeanwhile, Rules
from acervo.models import Ability, Kind, MadeAt, MediaPolicy, When, by_member
from acervo.prepare import tools
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import number

MEGABYTE: Final = 1_000_000
"""As pages write sizes: powers of 1000."""
MAX_KBPS: Final = 20_000
MAX_SIDE: Final = 4_096
MIN_KBPS: Final = 200
MIN_SIDE: Final = 240

WHEN: Final = (
    (When.NEVER, pgettext_lazy("copies are made", "Never")),
    (When.NEEDED, pgettext_lazy("copies are made", "When needed")),
    (When.ALWAYS, pgettext_lazy("copies are made", "Always")),
)
MADE_AT: Final = (
    (MadeAt.ARRIVAL, gettext_lazy("On arrival: ready at once for whoever opens the file")),
    (MadeAt.FIRST_PLAY, gettext_lazy("At first play: the first person waits some seconds, unopened files cost nothing")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy:
    """A kind of copy that the policy speaks about, and what it means in storage and for whom."""

    name: str
    icon: str
    title: words.Words
    text: words.Words
    meanings: tuple[tuple[str, words.Words], ...]
    """Of each answer to "when"."""


COPIES: Final = (
    Copy(
        "mp3",
        "mic",
        gettext_lazy("MP3 of voice notes and audio"),
        gettext_lazy(
            "WhatsApp sends voice notes as Opus. iPhones and Safari older than 18.4 do not play it; an MP3 plays "
            "everywhere. It takes about twice the space of the note: 30 seconds of 57 KB add 120 KB. The original "
            "always stays."
        ),
        (
            (When.NEVER, gettext_lazy("No space. On older iPhones and Safari, notes can only be downloaded.")),
            (When.NEEDED, gettext_lazy("For what does not play everywhere: voice notes, and audio of old phones.")),
            (When.ALWAYS, gettext_lazy("Also of other audio, where the MP3 is below four fifths of the original.")),
        ),
    ),
    Copy(
        "mp4",
        "video",
        gettext_lazy("MP4 of videos"),
        gettext_lazy(
            "Most WhatsApp videos play as they are, and making them anew saves little: 9% to 30%, for 2 to 5 seconds "
            "of computing per 10 seconds of film. It pays for films that browsers cannot play, and for those above "
            "the caps below: one of 6 Mb/s shrinks to a third of its size."
        ),
        (
            (When.NEVER, gettext_lazy("No space. Films of some phones (HEVC, 3GP) can only be downloaded.")),
            (When.NEEDED, gettext_lazy("For films that do not play everywhere or are above the caps.")),
            (When.ALWAYS, gettext_lazy("Tried for every film, and kept where it is below four fifths of the original.")),
        ),
    ),
    Copy(
        "pages",
        "file-text",
        gettext_lazy("Pages of documents as pictures"),
        gettext_lazy(
            "The first 20 pages of a PDF, to be read in the archive without downloading the file and without running "
            "anything that hides in it. Large documents add more than their own size; the original always stays."
        ),
        (
            (When.NEVER, gettext_lazy("No space. Documents can only be downloaded.")),
            (When.NEEDED, gettext_lazy("For every document that can be drawn.")),
            (When.ALWAYS, gettext_lazy("The same: no document shows itself without pictures.")),
        ),
    ),
)  # fmt: skip


class RulesForm(forms.Form):
    """The rules as text, checked once, with what is wrong said beside the field."""

    seen = forms.CharField(max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for copy in COPIES:
            self.fields[copy.name] = _choice(WHEN)
            self.fields[f"{copy.name}_at"] = _choice(MADE_AT)
        self.fields["video_cap_kbps"] = _whole_number(MIN_KBPS, MAX_KBPS)
        self.fields["video_cap_side"] = _whole_number(MIN_SIDE, MAX_SIDE)
        for kind in Kind.values:
            self.fields[f"limit_{kind}"] = _whole_number(1, installation_mb(), is_limit=True)

    @property
    def rules(self) -> Rules:
        """Of a form that is valid."""
        said = self.cleaned_data
        limits = {kind: said[f"limit_{kind}"] for kind in Kind.values}
        return Rules(
            {name: value for name, value in said.items() if name != "seen" and not name.startswith("limit_")},
            {kind: mb * MEGABYTE if mb else None for kind, mb in limits.items()},
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """A field as the page shows it: what was typed, else what is saved."""

    name: str
    value: str
    error: str = ""

    @property
    def html_id(self) -> str:
        return f"r-{self.name}"


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.OPERATE)
def media(request: MemberRequest) -> HttpResponseBase:
    if request.method == "POST":
        return _save(request)
    return _page(request, Rules.of(request.user.workspace_id))


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def reset(request: MemberRequest) -> HttpResponse:
    """Everything as on the first day; only from the page that shows what is lost by it."""
    try:
        change = journey.change_media_rules(
            request.user.workspace_id,
            Rules.default(),
            seen=request.POST.get("seen", ""),
            by=by_member(request.user),
        )
    except ChangedMeanwhile:
        messages.error(request, _("Somebody changed these settings meanwhile, so nothing was reset. This is how they are now."))  # fmt: skip
        return redirect("settings_media")
    _say_saved(request, change)
    return redirect("settings_media")


@needs(Ability.CONFIGURE)
def _save(request: MemberRequest) -> HttpResponse:
    workspace_id = request.user.workspace_id
    form = RulesForm(request.POST)
    if not form.is_valid():
        return _page(request, Rules.of(workspace_id), form, status=422)
    try:
        change = journey.change_media_rules(
            workspace_id, form.rules, seen=form.cleaned_data["seen"], by=by_member(request.user)
        )
    except ChangedMeanwhile:
        return _page(request, Rules.of(workspace_id), form, status=409, is_stale=True)
    _say_saved(request, change)
    return redirect("settings_media")


def _say_saved(request: MemberRequest, change: Change) -> None:
    if not change.is_any:
        messages.success(request, _("Nothing was changed."))
    elif change.policy:
        messages.success(request, _("Saved. It holds for files that arrive from now on; older ones keep their copies until you make them anew."))  # fmt: skip
    else:
        messages.success(request, _("Saved."))


def _page(
    request: MemberRequest,
    saved: Rules,
    form: RulesForm | None = None,
    *,
    status: int = 200,
    is_stale: bool = False,
) -> HttpResponse:
    row = MediaPolicy.of(request.user.workspace_id)
    return render(
        request,
        "settings_media.html",
        {
            **_fields(saved, form),
            "when": WHEN,
            "made_at": MADE_AT,
            "seen": saved.version,
            "is_default": saved.version == Rules.default().version,
            "is_wrong": form is not None and bool(form.errors),
            "is_stale": is_stale,
            "differs": list(_differing(saved, form.rules)) if is_stale and form else [],
            "changed_at": None if row._state.adding else row.changed_at,
            "can_change": request.user.can(Ability.CONFIGURE),
            "installation_bytes": installation_mb() * MEGABYTE,
            "installation_mb": installation_mb(),
            "bounds": {"kbps": (MIN_KBPS, MAX_KBPS), "side": (MIN_SIDE, MAX_SIDE)},
            "ffmpeg": tools.ffmpeg_version(),
            "isolation": tools.isolation(),
            "has_scanner": bool(settings.ACERVO_CLAMD),
        },
        status=status,
    )


def _fields(saved: Rules, form: RulesForm | None) -> dict[str, Any]:
    """As the page shows them, and those that are wrong with the names people know them by."""
    copies = [(copy, *_two(saved, form, copy.name)) for copy in COPIES]
    caps = {name: _shown(saved, form, name) for name in ("video_cap_kbps", "video_cap_side")}
    limits = [
        (words.KINDS[kind], words.KIND_ICONS[kind], _shown(saved, form, f"limit_{kind}"))
        for kind in Kind.values
    ]
    fields = [(copy.title, field) for copy, *its in copies for field in its]
    fields += [(_("Caps of videos"), cap) for cap in caps.values()]
    fields += [(_("Largest file: %(kind)s") % {"kind": kind}, limit) for kind, _icon, limit in limits]
    return {
        "copies": copies,
        "caps": caps,
        "limits": limits,
        "wrong": [(label, field) for label, field in fields if field.error],
    }


def installation_mb() -> int:
    return int(settings.ACERVO_MAX_FILE_BYTES // MEGABYTE)


def _two(saved: Rules, form: RulesForm | None, name: str) -> tuple[Shown, Shown]:
    return _shown(saved, form, name), _shown(saved, form, f"{name}_at")


def _shown(saved: Rules, form: RulesForm | None, name: str) -> Shown:
    if form is not None:
        return Shown(name, form.data.get(name, ""), str(next(iter(form.errors.get(name, [])), "")))
    if name.startswith("limit_"):
        limit = saved.limits[name.removeprefix("limit_")]
        return Shown(name, "" if limit is None else str(max(limit // MEGABYTE, 1)))
    return Shown(name, str(saved.policy[name]))


def _differing(saved: Rules, typed: Rules) -> Iterator[words.Words]:
    """What of the other person's change would be undone by saving now."""
    for copy in COPIES:
        if any(saved.policy[name] != typed.policy[name] for name in (copy.name, f"{copy.name}_at")):
            yield copy.title
    if any(saved.policy[name] != typed.policy[name] for name in ("video_cap_kbps", "video_cap_side")):
        yield _("Caps of videos")
    for kind in Kind.values:
        if saved.limits[kind] != typed.limits[kind]:
            yield _("Largest file: %(kind)s") % {"kind": words.KINDS[kind]}


def _choice(choices: tuple[tuple[str, words.Words], ...]) -> forms.ChoiceField:
    said = _("Choose one of these.")
    return forms.ChoiceField(choices=choices, error_messages={"required": said, "invalid_choice": said})


def _whole_number(least: int, most: int, *, is_limit: bool = False) -> forms.IntegerField:
    between = {"least": number(least), "most": number(most)}
    too_much = (
        _("At most %(most)s MB: that is the limit of this installation.") % between
        if is_limit
        else _("Write a whole number from %(least)s to %(most)s.") % between
    )
    return forms.IntegerField(
        required=not is_limit,
        min_value=least,
        max_value=most,
        error_messages={
            "required": _("Write a whole number from %(least)s to %(most)s.") % between,
            "invalid": _("Write a whole number, without dots or commas."),
            "min_value": _("Write a whole number from %(least)s to %(most)s.") % between,
            "max_value": too_much,
        },
    )
