import os
import shutil
from pathlib import Path
from signal import SIGKILL

from configs import procfs
from configs.processes import spawn
from tests.fixtures.children import ENV, running


def test_a_program_name_with_brackets_and_spaces_is_read_whole(data_root: Path) -> None:
    odd = data_root / "a) (b c"
    shutil.copy("/bin/sleep", odd)
    child = running([str(odd), "60"], data_root)
    try:
        facts = procfs.facts(child.pid)
        assert facts is not None
        assert (facts.program, facts.started_at, facts.ended) == ("a) (b c", child.started_at, False)
    finally:
        child.terminate(5)


def test_find_asks_for_program_owner_and_command_line(data_root: Path) -> None:
    child = running(["/bin/sleep", "61.25"], data_root)
    try:
        assert list(procfs.find("sleep", os.geteuid(), lambda line: b"61.25" in line)) == [child.pid]
        assert list(procfs.find("sleep", os.geteuid(), lambda line: b"61.26" in line)) == []
        assert list(procfs.find("sleep", os.geteuid() + 1, lambda line: b"61.25" in line)) == []
        assert list(procfs.find("slee", os.geteuid(), lambda line: b"61.25" in line)) == []
    finally:
        child.terminate(5)


def test_inside_finds_what_a_killed_process_left_behind(data_root: Path) -> None:
    script = f"sleep 60 & echo $! > {data_root}/pid; wait"
    parent = spawn("sh", ["/bin/sh", "-c", script], cwd=data_root, env=ENV, stdout=data_root / "log")
    while not (data_root / "pid").exists() or not (data_root / "pid").read_text().endswith("\n"):
        assert not parent.wait(0.01)
    parent.signal(SIGKILL)
    assert parent.wait(20)
    grandchild = int((data_root / "pid").read_text())
    assert list(procfs.inside(data_root)) == [grandchild]
    os.kill(grandchild, SIGKILL)
