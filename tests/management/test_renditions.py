"""`acervo renditions`: runs begun, watched, stopped and listed from the command line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from acervo.management.commands import renditions as command
from acervo.models import AuditEntry, Remake, Workspace

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str, out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    call_command("renditions", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


@pytest.fixture
def films(kept_file):
    kept_file(kind="voice")
    return [kept_file(body=b"%d" % number, kind="video", mime="video/mp4") for number in range(3)]


@pytest.fixture
def worker(monkeypatch):
    """A worker that does a file of the newest run while the command sleeps, up to a number of them."""
    tired = {"after": 99}

    def work(seconds: float) -> None:
        going = Remake.objects.order_by("-asked_at").first()
        assert going is not None
        if going.done >= tired["after"]:
            raise KeyboardInterrupt
        going.done += 1
        if going.done == going.total:
            from acervo.base import clock

            going.finished_at = clock.now()
        going.save()

    monkeypatch.setattr(command.time, "sleep", work)
    return tired


def test_a_run_is_begun_with_an_author_and_a_reason(films):
    made = run_json("remake", "--query", "kind=video", "--kinds", "mp4, mp3", "--reason", "a newer ffmpeg")
    assert (made["state"], made["total"], made["kinds"]) == ("running", 3, ["mp3", "mp4"])
    begun = AuditEntry.objects.get(action="remake.started")
    assert begun.by.startswith("command:")
    assert begun.reason == "a newer ffmpeg"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--query", "kind=movie"], "kind=movie"),
        (["--query", "video"], "video"),
        (["--kinds", "mp5"], "mp5"),
        (["--query", "kind=sticker"], "No kept file fits"),
    ],
)
def test_what_cannot_be_is_one_sentence(films, arguments, said):
    with pytest.raises(CommandError, match=said) as refused:
        run("remake", *arguments)
    assert "\n" not in str(refused.value)
    assert not Remake.objects.exists()


def test_several_workspaces_must_be_told_apart(films, other_workspace):
    with pytest.raises(CommandError, match="--workspace"):
        run("remake")
    made = run_json("remake", "--workspace", "Telecom Aurora")
    assert made["total"] == 4
    assert run_json("list", "--workspace", other_workspace.name) == []


def test_waiting_on_a_terminal_shows_one_line_that_changes_until_the_end(films, worker):
    said = run("remake", "--query", "kind=video", "--wait", out=Terminal())
    assert "\r0 of 3 files" in said
    assert "\r2 of 3 files" in said
    assert said.rstrip().endswith("3 of 3 files, 0 could not be made, finished")


def test_waiting_elsewhere_prints_plain_lines_and_json_only_the_end(films, worker):
    said = run("remake", "--query", "kind=video", "--wait")
    assert "\r" not in said
    assert said.rstrip().endswith("3 of 3 files, 0 could not be made, finished")
    assert run_json("remake", "--query", "kind=video", "--wait")["state"] == "finished"


def test_an_interrupted_wait_leaves_the_run_going_and_another_can_watch_it(films, worker):
    worker["after"] = 1
    out = Terminal()
    with pytest.raises(SystemExit) as left:
        run("remake", "--query", "kind=video", "--wait", out=out)
    assert left.value.code == 130
    going = Remake.objects.get()
    assert "goes on without this command" in out.getvalue()
    assert str(going) in out.getvalue()
    assert (going.state, going.done) == ("running", 1)
    worker["after"] = 99
    assert run_json("resume", str(going), "--wait")["done"] == 3


def test_a_run_that_does_not_move_is_said_to_have_no_worker(films, monkeypatch):
    hours = iter(range(0, 10**6, 3600))
    looks = iter(range(3))

    def sleep(seconds: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", sleep)
    monkeypatch.setattr(command.time, "monotonic", lambda: next(hours))
    out = io.StringIO()
    with pytest.raises(SystemExit):
        run("remake", "--wait", out=out)
    assert out.getvalue().count("Nothing has moved for a minute") == 1


def test_a_run_is_paused_resumed_and_ended(films):
    slug = run_json("remake")["id"]
    assert run_json("pause", slug)["state"] == "paused"
    assert run_json("resume", slug)["state"] == "running"
    assert run_json("cancel", slug)["state"] == "cancelled"
    with pytest.raises(CommandError, match="over"):
        run("resume", slug)
    with pytest.raises(CommandError, match="There is no run"):
        run("pause", "nonsense")
    (row,) = run_json("list")
    assert (row["id"], row["state"]) == (slug, "cancelled")


def test_the_list_does_not_tell_what_was_searched_for(films, workspace: Workspace):
    run("remake", "--query", "q=Marina")
    assert "Marina" not in run("list") + run("list", "--json")


def test_an_empty_list_is_a_sentence(workspace: Workspace):
    assert "Nothing was made anew yet." in run("list")
