"""`acervo renditions`: copies made anew over many files; the runs there are, paused, resumed and ended."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from acervo import journey
from acervo.base import ids
from acervo.management.command import AcervoCommand, by_command, workspace_named
from acervo.models import Remake
from acervo.prepare import remake as remaking

LISTED: Final = 50
LOOK_S: Final = 1.0
SAY_EVERY_S: Final = 10.0
"""Where nobody watches a terminal: a line when something moved, no more often than this."""
STILL_S: Final = 60.0
"""A run that has not moved for so long may have nobody who works on it."""


class Command(AcervoCommand):
    help = "Make copies anew over many files, or look after the runs that do."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=type(parser))
        for name, words in (
            ("remake", "Make copies anew, as the settings and tools of today make them."),
            ("list", "List the runs, the newest first."),
            ("pause", "Let a run stop after the file in hand."),
            ("resume", "Let a paused run go on where it stood."),
            ("cancel", "End a run; what was made anew stays."),
        ):
            verbs.add_parser(name, help=words).add_argument(
                "--json", action="store_true", help="Print data for machines."
            )
        for name in ("pause", "resume", "cancel"):
            verbs.choices[name].add_argument("run", metavar="RUN")
        for name in ("remake", "resume"):
            verbs.choices[name].add_argument(
                "--wait", action="store_true", help="Show progress until it ends."
            )
        for name in ("remake", "list"):
            verbs.choices[name].add_argument("--workspace")
        remake = verbs.choices["remake"]
        remake.add_argument(
            "--query",
            default="",
            help='Only these files, in the words of the library\'s address: "kind=video&q=…".',
        )
        remake.add_argument(
            "--kinds", default="", help="Only these copies, separated by commas: mp3,mp4,page."
        )
        remake.add_argument("--reason", default="", help="For the audit.")

    def work(self, options: dict[str, Any]) -> None:
        verbs = {
            "remake": self._remake,
            "list": self._list,
            "pause": self._pause,
            "resume": self._resume,
            "cancel": self._cancel,
        }
        verbs[options["verb"]](options)

    def _remake(self, options: dict[str, Any]) -> None:
        run = journey.remake_files(
            workspace_named(options["workspace"]).pk,
            query=options["query"],
            kinds=[kind.strip() for kind in options["kinds"].split(",") if kind.strip()],
            reason=options["reason"],
            by=by_command(),
        )
        begun = ngettext(
            "Run %(run)s makes the copies of %(files)d file anew.",
            "Run %(run)s makes the copies of %(files)d files anew.",
            run.total,
        )
        self._begun(options, run, begun % {"run": run, "files": run.total})

    def _list(self, options: dict[str, Any]) -> None:
        found = Remake.objects.order_by("-asked_at")
        if options["workspace"]:
            found = found.filter(workspace=workspace_named(options["workspace"]))
        rows = [_facts(run) for run in found[:LISTED]]
        lines = [
            f"{row['id']}  {row['state']:<9}  {row['done']}/{row['total']}  {row['failed']} "
            f"{_('failed')}  {row['bytes_before']} → {row['bytes_after']} B"
            for row in rows
        ]
        self.say(options, rows, "\n".join(lines) or _("Nothing was made anew yet."))

    def _pause(self, options: dict[str, Any]) -> None:
        run = _find(options["run"])
        remaking.pause(run, by_command())
        self.say(options, _facts(run), _("Run %s pauses after the file in hand.") % run)

    def _resume(self, options: dict[str, Any]) -> None:
        run = _find(options["run"])
        journey.resume_remake(run, by_command())
        self._begun(options, run, _("Run %s goes on where it stood.") % run)

    def _cancel(self, options: dict[str, Any]) -> None:
        run = _find(options["run"])
        remaking.cancel(run, by_command())
        self.say(options, _facts(run), _("Run %s ends after the file in hand.") % run)

    def _begun(self, options: dict[str, Any], run: Remake, words: str) -> None:
        if not options["wait"]:
            self.say(options, _facts(run), words)
            return
        if not options["json"]:
            self.stdout.write(words)
        try:
            self._watch(run, is_silent=options["json"])
        except KeyboardInterrupt:
            self.stderr.write(
                _(
                    "The run goes on without this command. `acervo renditions resume %s --wait` shows it again."
                )
                % run
            )
            raise SystemExit(130) from None
        self.say(options, _facts(run), _line(run))

    def _watch(self, run: Remake, *, is_silent: bool) -> None:
        """Until the run ends or is paused; on a terminal one line that changes, elsewhere lines now and then."""
        progress = _Progress(self, is_silent=is_silent)
        while run.state == "running":
            progress.show(run)
            time.sleep(LOOK_S)
            run.refresh_from_db()
        progress.end()


class _Progress:
    def __init__(self, command: Command, *, is_silent: bool) -> None:
        self.command = command
        self.is_silent = is_silent
        self.is_terminal = not is_silent and command.stdout.isatty()
        self.moved_at = self.said_at = time.monotonic()
        self.done = -1
        self.is_warned = False

    def show(self, run: Remake) -> None:
        at = time.monotonic()
        if run.done != self.done:
            self.moved_at, self.is_warned = at, False
        elif at - self.moved_at > STILL_S and not self.is_warned:
            self.is_warned = True
            self.command.stderr.write(
                _("Nothing has moved for a minute. Is `acervo serve` running, or a worker of the queue bulk?")
            )
        if self.is_terminal:
            self.command.stdout.write(f"\r{_line(run)}\x1b[K", ending="")
            self.command.stdout.flush()
        elif not self.is_silent and run.done != self.done and at - self.said_at > SAY_EVERY_S:
            self.command.stdout.write(_line(run))
            self.said_at = at
        self.done = run.done

    def end(self) -> None:
        if self.is_terminal:
            self.command.stdout.write("")


def _line(run: Remake) -> str:
    pace = remaking.pace(run, remaking.turns([run]).get(run.pk))
    facts = {"done": run.done, "total": run.total, "failed": run.failed, "state": run.state}
    if pace is None:
        return _("%(done)d of %(total)d files, %(failed)d could not be made, %(state)s") % facts
    said = _(
        "%(done)d of %(total)d files, %(failed)d could not be made, %(rate).1f a minute, %(left)d min to go"
    )
    return said % {**facts, "rate": pace.per_minute, "left": round(pace.left_s / 60)}


def _find(text: str) -> Remake:
    try:
        return Remake.objects.get(pk=ids.parse(text))
    except (ValueError, Remake.DoesNotExist) as error:
        raise CommandError(_("There is no run %s.") % text) from error


def _facts(run: Remake) -> dict[str, Any]:
    """Not what was searched for: that may be somebody's name, and lists end up in tickets."""
    return {
        "id": str(run),
        "state": run.state,
        "kinds": run.kinds,
        "total": run.total,
        "done": run.done,
        "failed": run.failed,
        "bytes_before": run.bytes_before,
        "bytes_after": run.bytes_after,
        "asked_at": run.asked_at.isoformat(),
        "asked_by": run.asked_by,
        "reason": run.reason,
    }
