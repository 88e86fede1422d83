"""`acervo backfill`: earlier files written to a CRM; counted first; the runs there are, paused, resumed and ended."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from acervo import journey
from acervo.base import ids
from acervo.deliver import backfill as backfilling
from acervo.management.command import AcervoCommand, by_command, workspace_named
from acervo.models import Backfill, Connection

LISTED: Final = 50


class Command(AcervoCommand):
    help = "Write earlier files to a CRM, or look after the runs that do."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=type(parser))
        for name, words in (
            ("look", "Count files, people and calls; nothing is written."),
            ("start", "Write them, after everything that arrives meanwhile."),
            ("list", "List the runs, the newest first."),
            ("pause", "Let a run rest; new files go on."),
            ("resume", "Let a paused run go on where it stood."),
            ("cancel", "End a run; what was written stays."),
        ):
            verbs.add_parser(name, help=words).add_argument(
                "--json", action="store_true", help="Print data for machines."
            )
        for name in ("pause", "resume", "cancel"):
            verbs.choices[name].add_argument("run", metavar="RUN")
        for name in ("look", "start"):
            verbs.choices[name].add_argument("connection", metavar="CRM", help="Its id, or its name.")
            verbs.choices[name].add_argument(
                "--query",
                default="",
                help='Only these files, in the words of the library\'s address: "kind=video&received=30d".',
            )
        for name in ("look", "start", "list"):
            verbs.choices[name].add_argument("--workspace")

    def work(self, options: dict[str, Any]) -> None:
        verbs = {
            "look": self._look,
            "start": self._start,
            "list": self._list,
            "pause": self._pause,
            "resume": self._resume,
            "cancel": self._cancel,
        }
        verbs[options["verb"]](options)

    def _look(self, options: dict[str, Any]) -> None:
        found = journey.look_at_backfill(_crm(options), options["query"])
        facts = {
            "files": found.files,
            "already": found.already,
            "people": found.people,
            "calls": found.calls,
            "minutes": round(found.seconds / 60, 1),
            "left_today": found.left_today,
        }
        said = ngettext(
            "%(files)d file of %(people)d people, about %(calls)d calls and %(minutes).1f minutes; %(already)d are there already.",
            "%(files)d files of %(people)d people, about %(calls)d calls and %(minutes).1f minutes; %(already)d are there already.",
            found.files,
        )
        self.say(options, facts, said % facts)

    def _start(self, options: dict[str, Any]) -> None:
        run = journey.backfill(_crm(options), query=options["query"], by=by_command())
        begun = ngettext(
            "Run %(run)s writes %(files)d file.", "Run %(run)s writes %(files)d files.", run.total
        )
        self.say(options, _facts(run), begun % {"run": run, "files": run.total})

    def _list(self, options: dict[str, Any]) -> None:
        found = Backfill.objects.select_related("connection").order_by("-asked_at")
        if options["workspace"]:
            found = found.filter(workspace=workspace_named(options["workspace"]))
        rows = [_facts(run) for run in found[:LISTED]]
        lines = [f"{row['id']}  {row['crm']:<12}  {row['state']:<9}  {_line(row)}" for row in rows]
        self.say(options, rows, "\n".join(lines) or _("No earlier files were written yet."))

    def _pause(self, options: dict[str, Any]) -> None:
        run = _find(options["run"])
        backfilling.pause(run, by_command())
        self.say(options, _facts(run), _("Run %s rests.") % run)

    def _resume(self, options: dict[str, Any]) -> None:
        run = _find(options["run"])
        journey.resume_backfill(run, by_command())
        self.say(options, _facts(run), _("Run %s goes on where it stood.") % run)

    def _cancel(self, options: dict[str, Any]) -> None:
        run = _find(options["run"])
        backfilling.cancel(run, by_command())
        self.say(options, _facts(run), _("Run %s ends; what was written stays.") % run)


def _crm(options: dict[str, Any]) -> Connection:
    """By id, or by a name that only one has. Raises CommandError."""
    crms = Connection.objects.crms().filter(removed_at=None)
    if options["workspace"]:
        crms = crms.filter(workspace=workspace_named(options["workspace"]))
    try:
        found = list(crms.filter(pk=ids.parse(options["connection"])))
    except ValueError:
        found = list(crms.filter(name=options["connection"])[:2])
    if len(found) != 1:
        raise CommandError(_("There is no CRM %s, or more than one of that name.") % options["connection"])
    return found[0]


def _find(text: str) -> Backfill:
    try:
        return Backfill.objects.select_related("connection").get(pk=ids.parse(text))
    except (ValueError, Backfill.DoesNotExist) as error:
        raise CommandError(_("There is no run %s.") % text) from error


def _line(row: dict[str, Any]) -> str:
    return _("%(written)d of %(total)d written, %(waiting)d wait for a person") % row


def _facts(run: Backfill) -> dict[str, Any]:
    """Not what was searched for: that may be somebody's name, and lists end up in tickets."""
    found = backfilling.report(run)
    return {
        "id": str(run),
        "crm": run.connection.name,
        "state": run.state,
        "total": run.total,
        "promised": run.promised,
        "written": found.written,
        "unchanged": found.unchanged,
        "waiting": sum(found.waiting.values()),
        "trying": sum(found.trying.values()),
        "reasons": {**found.waiting, **found.trying},
        "asked_at": run.asked_at.isoformat(),
        "asked_by": run.asked_by,
    }
