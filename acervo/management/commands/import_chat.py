"""`acervo import-chat`: bring in a chat that WhatsApp exported, list what was brought in, take one out again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from acervo import journey
from acervo.base import ids
from acervo.govern import transcribers
from acervo.management.command import AcervoCommand, by_command, wait_for
from acervo.models import ChatImport, Connection
from acervo.prepare.transcripts import NotConfigured
from acervo.receive import imports, undone
from acervo.receive.imports import AlreadyImported, Choice, DateOrderMissing, Look, UsMissing

LISTED: Final = 50
SAY_EVERY_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.5
NOBODY: Final = "-"


class Command(AcervoCommand):
    help = (
        "Bring in a chat that WhatsApp exported (a zip, its folder, or its text alone). Interrupted, it goes on where it "
        "stood when it is run again with the same file; run twice, it changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE.zip|FOLDER|FILE.txt")
        parser.add_argument("--connection", metavar="NAME|ID", help="The number whose chat it is.")
        parser.add_argument("--contact", default="", metavar="NAME", help="Whose chat it is.")
        parser.add_argument(
            "--phone", default="", metavar="+…", help="The contact's number: it finds them surely."
        )
        parser.add_argument(
            "--me", metavar="NAME", help=f"Which author is your company; {NOBODY} if none of them is."
        )
        parser.add_argument("--time-zone", metavar="ZONE", help="Of the phone that exported the chat.")
        parser.add_argument(
            "--date-order",
            default="",
            choices=["", "dmy", "mdy", "ymd"],
            help="Where the file does not tell.",
        )
        parser.add_argument("--deliver", action="store_true", help="Write its files to the CRMs, too.")
        parser.add_argument("--transcribe", action="store_true", help="Have its recordings transcribed, too.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what is in it.")
        parser.add_argument("--list", action="store_true", help="List the imports, the newest first.")
        parser.add_argument("--undo", metavar="ID", help="Take out what an import brought.")

    def work(self, options: dict[str, Any]) -> None:
        if options["list"]:
            self._list(options)
        elif options["undo"]:
            self._undo(options)
        elif options["file"] is None:
            raise CommandError(_("Name the file of the chat, or use --list or --undo."))
        else:
            self._import(options)

    def _import(self, options: dict[str, Any]) -> None:
        path: Path = options["file"]
        if not path.exists():
            raise CommandError(_("There is no file %s.") % path)
        look = imports.look(path, name=path.name)
        if options["dry_run"]:
            self.say(options, look.report(), self._report(look))
            return
        connection = _connection(options["connection"])
        if options["transcribe"] and transcribers.of(connection.workspace_id) is None:
            raise NotConfigured()
        if not options["json"]:
            self.stdout.write(self._report(look))
        try:
            run = self._asked(options, connection, look, path)
        except AlreadyImported as known:
            again = ChatImport.objects.filter(
                connection=connection, archive_sha256=look.sha256, undone_at=None
            ).first()
            if again is None or again.state not in ("running", "stopped", "finished", "waiting"):
                raise
            if again.state == "finished":
                self._transcribe(options, again)
                self.say(options, _facts(again), str(known))
                return
            imports.resume(again, by=by_command())
            run = again
        if run.state == "waiting":
            self._begin(options, run, look)
        progress = _Progress(self, is_silent=options["json"])
        wait_for(journey.import_here(run.pk, path, progress.show))
        progress.end()
        run.refresh_from_db()
        if run.state != "finished":
            raise CommandError(
                _("The import stopped: %s. Run the command again to go on.") % (run.refusal or run.state)
            )
        self._transcribe(options, run)
        self.say(options, _facts(run), _result(run))

    def _transcribe(self, options: dict[str, Any], run: ChatImport) -> None:
        """Where somebody wants it: an engine takes days for the voice notes of years."""
        if options["transcribe"]:
            journey.transcribe_import(run, by_command())

    def _asked(self, options: dict[str, Any], connection: Connection, look: Look, path: Path) -> ChatImport:
        # What has to be said is asked for before anything is written.
        if not look.found.dates.is_sure and not options["date_order"]:
            raise DateOrderMissing(_readings(look))
        name = options["contact"] or look.contact
        _us(options["me"], look, name)
        return imports.ask(
            connection,
            look,
            name=name,
            phone=options["phone"],
            archive_name=path.name,
            time_zone=options["time_zone"] or connection.workspace.time_zone,
            by=by_command(),
        )

    def _begin(self, options: dict[str, Any], run: ChatImport, look: Look) -> None:
        us = _us(options["me"], look, options["contact"] or look.contact)
        zone = options["time_zone"] or run.time_zone
        imports.begin(run, Choice(us, zone, options["date_order"], options["deliver"]), by=by_command())

    def _report(self, look: Look) -> str:
        found, dates = look.found, look.found.dates
        span = [f"{one.first:%Y-%m-%d} – {one.last:%Y-%m-%d} ({one.order.value})" for one in dates.readings]
        lines = [
            _("%(messages)d messages of %(authors)d authors, %(lines)d lines of the app itself (%(phone)s).")
            % {"messages": found.messages, "authors": len(found.authors), "lines": found.app_lines, "phone": found.phone},
            _("Dates: %(span)s, decided by: %(rule)s.") % {"span": " / ".join(span), "rule": dates.rule.value},
            _("Files: %(attached)d in the archive, %(missing)d named but missing, %(omitted)d left out by the phone.")
            % {"attached": found.attached, "missing": found.missing, "omitted": found.omitted},
        ]  # fmt: skip
        lines += [f"  {line}: {name}" for line, name in found.missing_names]
        if found.may_be_cut:
            lines.append(
                _("WhatsApp exports no more messages than these: older ones may be missing without a word.")
            )
        lines.append(_("Who wrote what is what the file claims; nobody can prove it."))
        return "\n".join(lines)

    def _undo(self, options: dict[str, Any]) -> None:
        run = _find(options["undo"])
        if run.state == "undone":
            self.say(options, _facts(run), _undone(run))
            return
        imports.ask_undo(run, by=by_command())
        wait_for(_undo_to_the_end(run.pk))
        run.refresh_from_db()
        self.say(options, _facts(run), _undone(run))

    def _list(self, options: dict[str, Any]) -> None:
        rows = [_facts(run) for run in ChatImport.objects.order_by("-asked_at")[:LISTED]]
        lines = [
            f"{row['id']}  {row['state']:<8}  {row['done']}/{row['total']}  +{row['new_messages']} "
            f"{_('messages')}  +{row['new_files']} {_('files')}"
            for row in rows
        ]
        self.say(options, rows, "\n".join(lines) or _("No chat was imported yet."))


async def _undo_to_the_end(run: UUID) -> None:
    """An import at work ends its step first; somebody else may be undoing it already."""
    while True:
        await undone.undo(run)
        if (await ChatImport.objects.aget(pk=run)).undone_at:
            return
        await asyncio.sleep(LOOK_AGAIN_S)


class _Progress:
    def __init__(self, command: Command, *, is_silent: bool) -> None:
        self.command, self.is_silent = command, is_silent
        self.is_terminal = not is_silent and command.stdout.isatty()
        self.said_at = time.monotonic()

    def show(self, run: ChatImport) -> None:
        if self.is_terminal:
            self.command.stdout.write(f"\r{_line(run)}\x1b[K", ending="")
            self.command.stdout.flush()
        elif not self.is_silent and time.monotonic() - self.said_at > SAY_EVERY_S:
            self.command.stdout.write(_line(run))
            self.said_at = time.monotonic()

    def end(self) -> None:
        if self.is_terminal:
            self.command.stdout.write("")


def _line(run: ChatImport) -> str:
    said = _("%(done)d of %(total)d messages, %(files)d files, %(mb).1f MB")
    return said % {"done": run.done, "total": run.total, "files": run.new_files, "mb": run.new_bytes / 1e6}


def _result(run: ChatImport) -> str:
    said = _(
        "Import %(run)s is done: %(messages)d messages new, %(known)d known before; %(files)d files new, %(linked)d the "
        "same as files kept before, %(missing)d not in the export. `acervo import-chat --undo %(run)s` takes it out again."
    )
    told = said % {
        "run": run,
        "messages": run.new_messages,
        "known": run.known_messages,
        "files": run.new_files,
        "linked": run.linked_files,
        "missing": run.missing_files,
    }
    if kept_out := imports.too_large(run).count():
        more = ngettext(
            "%(files)d file is over the size limit of its kind and stayed out.",
            "%(files)d files are over the size limit of their kind and stayed out.",
            kept_out,
        )
        told += "\n" + more % {"files": kept_out}
    return told


def _undone(run: ChatImport) -> str:
    said = _(
        "Import %(run)s is undone: %(files)d files removed. A CRM still holds links to %(told)d of them."
    )
    return said % {"run": run, "files": run.removed_files, "told": run.told_to_crm}


def _us(given: str | None, look: Look, contact: str) -> str:
    """The author who is the company. Raises UsMissing, naming how many to choose from."""
    authors = list(look.found.authors)
    if given == NOBODY and len(authors) == 1:
        return ""
    if given is not None:
        if given in authors:
            return given
        raise UsMissing(_("--me must be one of: %s.") % ", ".join(authors))
    if guessed := imports.guessed_us(look.report(), contact):
        return guessed
    if len(authors) == 1 and authors[0].casefold() in {contact.casefold(), look.contact.casefold()}:
        return ""
    raise UsMissing(_("Say with --me which of these is your company: %s.") % ", ".join(authors))


def _readings(look: Look) -> str:
    return _("The dates can be read in two ways; say which with --date-order: %s.") % "; ".join(
        f"{one.order.value}: {one.first:%Y-%m-%d} – {one.last:%Y-%m-%d}" for one in look.found.dates.readings
    )


def _connection(named: str | None) -> Connection:
    found = Connection.objects.providers().filter(removed_at=None).select_related("workspace")
    if named:
        by_id = Q()
        try:
            by_id = Q(pk=ids.parse(named))
        except ValueError:
            by_id = Q(pk=None)
        found = found.filter(Q(name=named) | Q(account_id=named) | by_id)
    rows = list(found[:2])
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise CommandError(_("There is no such WhatsApp number. `acervo connect` makes one."))
    raise CommandError(_("There are several WhatsApp numbers: name one with --connection."))


def _find(text: str) -> ChatImport:
    try:
        return ChatImport.objects.get(pk=ids.parse(text))
    except (ValueError, ChatImport.DoesNotExist) as error:
        raise CommandError(_("There is no import %s.") % text) from error


def _facts(run: ChatImport) -> dict[str, Any]:
    """No name: lists end up in tickets and logs."""
    names = (
        "done", "total", "new_messages", "known_messages", "new_files", "new_bytes", "linked_files", "missing_files",
        "removed_files", "told_to_crm", "refusal", "delivers",
    )  # fmt: skip
    facts = {name: getattr(run, name) for name in names}
    return {"id": str(run), "state": run.state, "asked_at": run.asked_at.isoformat(), **facts}
