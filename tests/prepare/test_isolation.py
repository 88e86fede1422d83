"""A tool has the files it was given, no network, little memory and time, and does not outlive its run."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import uvloop

from acervo.prepare import isolation
from acervo.prepare.forkserver import ForkServer
from acervo.prepare.isolation import (
    MIB,
    Limits,
    NotIsolated,
    ToolFailed,
    ToolMissing,
    ToolTimedOut,
    must,
    run,
    tool,
)
from acervo.prepare.pictures import INTERPRETER
from tests.prepare.conftest import needs_closed_network, needs_landlock

BASH = "/bin/bash"


def python(code):
    return [sys.executable, "-I", "-B", "-X", "utf8", "-c", code]


async def said_by(argv, **rest):
    return (await must(argv, reads=[*INTERPRETER, *rest.pop("reads", [])], **rest)).stdout.decode().strip()


async def until(condition, patience_s=10):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def tools_of(pid, name):
    return [child for child in psutil.Process(pid).children(recursive=True) if child.name() == name]


# ── files ──


async def test_a_tool_reads_what_it_is_given(tmp_path):
    (tmp_path / "given").write_text("fine")
    assert await said_by(["/bin/cat", tmp_path / "given"], reads=[tmp_path / "given"]) == "fine"


@needs_landlock
@pytest.mark.parametrize("place", ["neighbour", "/etc/passwd", "/proc/self/status"])
async def test_a_tool_reads_nothing_else(tmp_path, place):
    (tmp_path / "given").write_text("fine")
    (tmp_path / "neighbour").write_text("canary")
    result = await run(["/bin/cat", tmp_path / place], reads=[tmp_path / "given"])
    assert (result.returncode, result.stdout) == (1, b"")


@needs_landlock
async def test_a_tool_cannot_leave_by_a_link_it_makes(tmp_path, out_dir):
    (tmp_path / "neighbour").write_text("canary")
    script = f"ln -s {tmp_path}/neighbour here; cat here; cat /proc/self/root/etc/passwd"
    result = await run([BASH, "-c", script], reads=[], writes=out_dir)
    assert result.stdout == b""


@needs_landlock
async def test_a_tool_writes_only_into_its_folder(tmp_path, out_dir):
    (tmp_path / "given").write_text("fine")
    script = f"echo a > made; echo b > {tmp_path}/elsewhere; echo c > {tmp_path}/given; rm {tmp_path}/given"
    await run([BASH, "-c", script], reads=[tmp_path / "given"], writes=out_dir)
    assert (out_dir / "made").read_text() == "a\n"
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "given").read_text() == "fine"


async def test_a_tool_is_told_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("ACERVO_MASTER_KEY", "canary")
    assert "canary" not in await said_by(["/usr/bin/env"])
    assert await said_by(python("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))")) == "[]"


async def test_paths_with_accents_and_spaces_work(tmp_path):
    given = tmp_path / "olá, mundo=1.txt"
    given.write_text("fine")
    assert await said_by(["/bin/cat", given], reads=[given]) == "fine"


# ── network and other processes ──


@needs_closed_network
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
async def test_a_tool_has_no_network(trap, kind):
    code = f"""
import socket
try: socket.socket(socket.AF_INET, socket.{kind}).connect(("127.0.0.1", {trap.port}))
except PermissionError: print("refused")
"""
    assert await said_by(python(code)) == "refused"
    assert trap.visits == 0


@needs_landlock
async def test_ffmpeg_told_to_follow_a_playlist_reaches_neither_server_nor_file(tmp_path, trap):
    """Our own arguments never let it try; this is what holds if a flaw in it does."""
    (tmp_path / "canary.ts").write_text("canary")
    playlist = tmp_path / "list.m3u8"
    for target in (f"http://127.0.0.1:{trap.port}/x.ts", f"file://{tmp_path}/canary.ts"):
        playlist.write_text(f"#EXTM3U\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n")
        argv = [tool("ACERVO_FFMPEG"), "-nostdin", "-v", "error", "-protocol_whitelist", "file,http,tcp"]
        result = await run([*argv, "-f", "hls", "-i", playlist, "-f", "data", "pipe:1"], reads=[playlist])
        assert result.returncode != 0
        assert result.stdout == b""
    assert trap.visits == 0


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root has capabilities to lose")
async def test_root_is_root_in_name_only():
    code = "import os\ntry: os.chroot('/')\nexcept PermissionError: print('refused')"
    assert await said_by(python(code)) == "refused"


@needs_landlock
@pytest.mark.skipif(isolation.active().landlock_abi < 6, reason="signals are scoped since Landlock ABI 6")
async def test_a_tool_cannot_signal_us():
    code = f"import os\ntry: os.kill({os.getpid()}, 0)\nexcept PermissionError: print('refused')"
    assert await said_by(python(code)) == "refused"


# ── limits ──


async def test_memory_ends_at_its_limit():
    code = "try: bytearray(600 * 2**20)\nexcept MemoryError: print('refused')"
    assert await said_by(python(code), limits=Limits(memory_bytes=512 * MIB)) == "refused"


async def test_a_written_file_ends_at_its_limit(out_dir):
    argv = ["/bin/dd", "if=/usr/bin/ffmpeg", "of=big", "bs=1000"]
    result = await run(argv, reads=[], writes=out_dir, limits=Limits(file_bytes=10_000))
    assert result.returncode == -signal.SIGXFSZ
    assert (out_dir / "big").stat().st_size == 10_000


async def test_computing_time_ends_at_its_limit():
    result = await run(python("while True: pass"), reads=INTERPRETER, limits=Limits(cpu_s=1))
    assert result.returncode == -signal.SIGXCPU


async def test_waiting_ends_at_its_limit():
    with pytest.raises(ToolTimedOut):
        await run(["/bin/sleep", "60"], reads=[], limits=Limits(wall_s=0.3))
    assert tools_of(os.getpid(), "sleep") == []


async def test_output_beyond_its_limit_is_a_failure():
    with pytest.raises(ToolFailed):
        await run(
            ["/usr/bin/head", "-c", "5000", "/usr/bin/ffmpeg"], reads=[], limits=Limits(stdout_bytes=4999)
        )


async def test_endless_complaints_are_cut_without_blocking_the_tool():
    script = "for ((i = 0; i < 40000; i++)); do echo complaint >&2; done; echo done"
    result = await run([BASH, "-c", script], reads=[])
    assert result.stdout == b"done\n"
    assert len(result.stderr) == isolation.STDERR_BYTES


async def test_output_can_be_taken_as_it_comes():
    taken = []
    argv = ["/usr/bin/head", "-c", "200000", "/usr/bin/ffmpeg"]
    result = await run(argv, reads=[], limits=Limits(stdout_bytes=10), on_stdout=taken.append)
    assert sum(map(len, taken)) == 200_000
    assert result.stdout == b""


# ── ends ──


async def test_cancelling_ends_the_tool_at_once(tmp_path, out_dir):
    argv = [tool("ACERVO_FFMPEG"), "-nostdin", "-v", "quiet", "-f", "lavfi", "-i", "testsrc", "-t", "90000"]
    task = asyncio.create_task(run([*argv, "-f", "mpeg", "film.mpg"], reads=[], writes=out_dir))
    await until(lambda: (out_dir / "film.mpg").exists())
    assert tools_of(os.getpid(), "ffmpeg") != []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tools_of(os.getpid(), "ffmpeg") == []


async def test_what_a_tool_leaves_running_goes_with_it():
    script = "sleep 60 <&- >&- 2>&- & echo $!"
    left = int((await must([BASH, "-c", script], reads=[])).stdout)
    await until(lambda: not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_killed_worker_takes_its_tool_along():
    code = """
import asyncio
from django.conf import settings
settings.configure(ACERVO_ISOLATION="auto")
from acervo.prepare import isolation
asyncio.run(isolation.run(["/bin/sleep", "60"], reads=[]))
"""
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment)
    try:
        await until(lambda: tools_of(worker.pid, "sleep"))
        (sleeper,) = tools_of(worker.pid, "sleep")
    finally:
        worker.kill()
        worker.wait()
    await until(lambda: not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("loop", [asyncio, uvloop])
def test_many_side_by_side_are_each_told_their_own(loop):
    async def start_many():
        words = [f"note {number}" for number in range(60)]
        said = await asyncio.gather(*(said_by(["/bin/echo", word]) for word in words))
        assert said == words

    loop.run(start_many())


async def test_tools_go_with_a_killed_server_and_the_next_starts_another():
    task = asyncio.create_task(run(["/bin/sleep", "60"], reads=[]))
    await until(lambda: tools_of(os.getpid(), "sleep"))
    (sleeper,) = tools_of(os.getpid(), "sleep")
    psutil.Process(sleeper.ppid()).kill()
    with pytest.raises(ToolTimedOut):
        await task
    await until(lambda: not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE)
    assert await said_by(["/bin/echo", "again"]) == "again"


# ── refusals ──


async def test_a_failing_tool_is_told_by_its_code_and_never_by_its_words():
    with pytest.raises(ToolFailed) as caught:
        await must([BASH, "-c", "echo content-of-a-file >&2; exit 3"], reads=[])
    assert caught.value.returncode == 3
    assert "content-of-a-file" not in f"{caught.value} {caught.value!r} {caught.value.facts}"


async def test_a_missing_tool_needs_a_person(settings):
    with pytest.raises(ToolMissing):
        await run(["/usr/bin/no-such-tool"], reads=[])
    settings.ACERVO_FFMPEG = "no-such-tool"
    with pytest.raises(ToolMissing):
        tool("ACERVO_FFMPEG")


async def test_required_isolation_is_not_silently_left_out(settings, monkeypatch):
    """A kernel without Landlock is acted by a launcher that is told of none."""
    settings.ACERVO_ISOLATION = "required"
    original = Path(isolation.launcher.__file__).read_text()
    pretending = original.replace("    if abi < 1:\n", "    if True:\n")
    assert pretending != original
    server = ForkServer(["-c", pretending])
    monkeypatch.setattr(isolation, "_tools", server)
    with pytest.raises(NotIsolated):
        await run(["/bin/true"], reads=[])
    settings.ACERVO_ISOLATION = "auto"
    assert (await run(["/bin/true"], reads=[])).returncode == 0
    server.stop()


def test_isolation_says_what_is_in_force():
    here = isolation.active()
    assert {"CPU", "FSIZE", "NOFILE", "CORE"} <= set(here.rlimits)
    assert here.is_complete == bool(here.landlock_abi and here.is_network_closed and "AS" in here.rlimits)
