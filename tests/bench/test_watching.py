import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from bench.load import Server
from bench.stacks import Stack
from bench.watching import Phases, Watch

BUSY = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nprint(1)\ninput()"


def test_what_began_later_counts_and_each_phase_has_its_own() -> None:
    child: Any = SimpleNamespace(pid=os.getpid())
    watch = Watch(Stack("test", Server("http://127.0.0.1:1/v1", "m"), child))
    phases = Phases(watch)
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"1\n"
        phases.over("busy")
        busy.communicate(b"\n")
    phases.over("at rest")
    assert sum(phases.cpu_s["busy"].values()) >= 0.15
    assert sum(phases.cpu_s["at rest"].values()) < 0.15
