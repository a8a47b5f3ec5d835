import asyncio
import errno
import os
import sys
import time
from pathlib import Path
from signal import SIGKILL, SIGSTOP, SIGTERM

import psutil
import pytest

from configs import procfs
from configs.accounts import Account
from configs.errors import ConfigurationError, Internal, TimedOut
from configs.processes import Child, Command, run, spawn, wait_until
from tests.fixtures.children import ENV, described
from tests.fixtures.data_dirs import as_root


def shell(script: str, folder: Path, *, account: Account | None = None, fds: tuple[int, ...] = ()) -> Child:
    return spawn(
        "shell", ["/bin/sh", "-c", script], cwd=folder, env=ENV, stdout=folder / "log", account=account, fds=fds
    )


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)
    return path.read_text().strip()


def until_stopped(pid: int) -> None:
    """Two signals that wait together are handled by number, and SIGTERM's is the lower one."""
    deadline = time.monotonic() + 20
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, f"process {pid} was not stopped"
        time.sleep(0.01)


def test_output_is_appended_to_a_private_log(data_root: Path) -> None:
    for word in ("one", "two"):
        assert shell(f"echo {word}; echo {word} >&2", data_root).wait(20)
    assert (data_root / "log").read_text().split() == ["one", "one", "two", "two"]
    assert (data_root / "log").stat().st_mode & 0o777 == 0o600


def test_a_child_has_a_session_and_an_environment_of_its_own(data_root: Path) -> None:
    child = shell("env; sleep 60", data_root)
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
        described(child)
        environment = procfs._read(child.pid, "environ").split(b"\0")
        assert environment == [f"PATH={os.defpath}".encode(), b""]
    finally:
        child.terminate(5)


def test_only_the_named_descriptors_are_handed_over(data_root: Path) -> None:
    kept, not_kept = os.pipe()
    os.set_inheritable(not_kept, True)
    try:
        script = f"test -e /proc/self/fd/{kept} && ! test -e /proc/self/fd/{not_kept}"
        child = shell(script, data_root, fds=(kept,))
        assert child.wait(20)
        assert child.exit_code() == 0
    finally:
        os.close(kept)
        os.close(not_kept)


@as_root
def test_an_account_is_taken_on_without_further_groups(data_root: Path) -> None:
    assert shell("id -u; id -g; id -G; umask", data_root, account=Account("someone", 4321, 8765)).wait(20)
    assert (data_root / "log").read_text().split() == ["4321", "8765", "8765", "0077"]


def test_what_cannot_be_started_is_named(data_root: Path) -> None:
    (data_root / "text").write_text("no program")
    for program in ("/nonexistent/program", str(data_root / "text")):
        with pytest.raises(ConfigurationError, match=f"cannot start {program}"):
            spawn("x", [program], cwd=data_root, env=ENV, stdout=data_root / "log")
    with pytest.raises(ConfigurationError, match="'/nonexistent' does not exist"):
        spawn("x", ["/bin/true"], cwd=Path("/nonexistent"), env=ENV, stdout=data_root / "log")
    with pytest.raises(ConfigurationError, match="cannot use '/nonexistent/log'"):
        spawn("x", ["/bin/true"], cwd=data_root, env=ENV, stdout=Path("/nonexistent/log"))


def test_an_ended_child_is_known_as_ended_with_its_status(data_root: Path) -> None:
    child = shell("exit 7", data_root)
    assert child.wait(20)
    assert not child.alive()
    assert child.exit_code() == 7
    assert procfs.facts(child.pid) is None, "it is no zombie either"
    assert child.signal(SIGTERM) is False


def test_a_killed_child_ends_with_its_signal(data_root: Path) -> None:
    child = shell("sleep 60", data_root)
    assert child.exit_code() is None
    assert child.signal(SIGKILL)
    assert child.wait(20)
    assert child.exit_code() == -SIGKILL


def test_a_child_whose_last_threads_are_ending_has_not_ended(data_root: Path) -> None:
    """The kernel shows its first thread as a zombie by then, and nobody can be told yet how it ended."""
    script = (
        "import ctypes, threading, time, os\n"
        "threading.Thread(target=lambda: (time.sleep(1), os._exit(7))).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    argv = [sys.executable, "-c", script]
    child = spawn("threads", argv, cwd=data_root, env=ENV, stdout=data_root / "log")
    deadline = time.monotonic() + 20
    while not ((known := procfs.facts(child.pid)) and known.ended):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert child.wait(20)
    assert child.exit_code() == 7


def test_a_recycled_pid_is_neither_alive_nor_signalled(data_root: Path) -> None:
    bystander = shell("sleep 60", data_root)
    earlier = Child("earlier", bystander.pid, bystander.started_at - 1)
    try:
        assert not earlier.alive()
        assert earlier.wait(0)
        assert earlier.signal(SIGKILL) is False
        earlier.terminate(0)
        assert not bystander.wait(0.2)
    finally:
        bystander.terminate(5)


@pytest.mark.parametrize("pidfds", [True, False])
def test_waiting_works_for_a_process_of_somebody_else(
    data_root: Path, monkeypatch: pytest.MonkeyPatch, pidfds: bool
) -> None:
    if not pidfds:
        monkeypatch.setattr(os, "pidfd_open", _no_pidfds)
    parent = shell(f"sleep 60 & echo $! > {data_root}/pid; wait", data_root)
    grandchild = Child.adopt("sleep", int(wait_for(data_root / "pid")))
    assert grandchild is not None
    assert grandchild.alive()
    assert not grandchild.wait(0.05)
    grandchild.terminate(5)
    assert not grandchild.alive()
    assert parent.wait(20)


def _no_pidfds(pid: int) -> int:
    raise OSError(errno.ENOSYS, "an old kernel")


@pytest.mark.parametrize("pidfds", [True, False])
async def test_ended_returns_when_the_child_ends(
    data_root: Path, monkeypatch: pytest.MonkeyPatch, pidfds: bool
) -> None:
    if not pidfds:
        monkeypatch.setattr(os, "pidfd_open", _no_pidfds)
    child = shell("sleep 60", data_root)
    waiting = asyncio.create_task(child.ended())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    child.signal(SIGKILL)
    await asyncio.wait_for(waiting, 20)
    await asyncio.wait_for(child.ended(), 20)


def test_nothing_is_adopted_where_nothing_runs(data_root: Path) -> None:
    child = shell("exit 0", data_root)
    child.wait(20)
    child.exit_code()
    assert Child.adopt("gone", child.pid) is None


def test_what_ignores_the_first_signal_is_killed(data_root: Path) -> None:
    child = shell(f"trap '' TERM; echo deaf > {data_root}/deaf; while :; do sleep 0.05; done", data_root)
    wait_for(data_root / "deaf")
    child.terminate(0.1)
    assert child.exit_code() == -SIGKILL


def test_what_was_stopped_is_killed(data_root: Path) -> None:
    child = shell("sleep 60", data_root)
    child.signal(SIGSTOP)
    until_stopped(child.pid)
    child.terminate(0.1)
    assert child.exit_code() == -SIGKILL


def test_a_command_can_be_started_again(data_root: Path) -> None:
    first = shell("echo again", data_root)
    assert first.wait(20)
    assert isinstance(first.command, Command)
    second = first.command.spawn()
    assert second.wait(20)
    assert second != first
    assert (data_root / "log").read_text().split() == ["again", "again"]


def test_run_returns_what_was_printed(data_root: Path) -> None:
    done = run(["/bin/sh", "-c", "echo out; echo err >&2"], timeout_s=20, cwd=data_root, env=ENV)
    assert (done.program, done.output.split()) == ("sh", ["out", "err"])


def test_run_keeps_only_the_end_of_long_output(data_root: Path) -> None:
    done = run(
        ["/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo end"], timeout_s=20, cwd=data_root, env=ENV
    )
    assert done.output.endswith("xend")
    assert len(done.output) <= 8192


def test_run_tells_how_a_command_failed(data_root: Path) -> None:
    with pytest.raises(Internal, match=r"sh ended with status 3\. Its last lines: no luck"):
        run(["/bin/sh", "-c", "echo no luck; exit 3"], timeout_s=20, cwd=data_root, env=ENV)


def test_run_ends_what_takes_too_long_with_its_children(data_root: Path) -> None:
    with pytest.raises(Internal, match=r"sh did not end within 0\.3 s"):
        run(["/bin/sh", "-c", f"sleep 60 & echo $! > {data_root}/pid; wait"], timeout_s=0.3, cwd=data_root, env=ENV)
    grandchild = Child.adopt("sleep", int(wait_for(data_root / "pid")))
    assert grandchild is None or grandchild.wait(20)


def test_waiting_for_a_server_that_dies_tells_its_last_words(data_root: Path) -> None:
    child = shell("echo broken configuration; exit 1", data_root)
    with pytest.raises(Internal, match=r"shell ended while starting\. The end of .*: broken configuration"):
        wait_until(lambda: False, child, 20)


def test_waiting_for_a_server_ends(data_root: Path) -> None:
    child = shell("sleep 60", data_root)
    try:
        with pytest.raises(TimedOut, match=r"shell was not ready within 0\.05 s"):
            wait_until(lambda: False, child, 0.05)
    finally:
        child.terminate(5)
