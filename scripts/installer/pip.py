"""pip, run with progress lines, a log, retries and an explanation when it fails."""

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.installer.errors import recognise

ATTEMPTS = 3
QUIET_S = 10  # a line at least this often
NEED_GB = 6
LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile", "--progress-bar", "off")
DOWNLOAD = re.compile(
    r"^\s+(?:Downloading|Using cached|Processing) (?:\S*/)?([^/\s]+?)(?:-py\S+|-cp\S+)?\.whl(?:\S*)( \(.+\))?"
)


class Pip:
    """The pip of one virtual environment."""

    def __init__(self, python: Path, log: Path) -> None:
        self.python = python
        self.log = log

    def install_locked(self, *arguments: str) -> None:
        """Install a hash-locked file, as it stands, without looking at dependencies."""
        self.install(*LOCKED, *arguments)

    def install(self, *arguments: str) -> None:
        """Run `pip install`; a failure that may pass is tried again.

        Raises:
            InstallFailed: with the last lines of pip's output and what to do.
        """
        command = [str(self.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments]
        for attempt in range(1, ATTEMPTS + 1):
            code, tail = self._run(command)
            if code == 0:
                return
            cause = recognise(tail)
            if not cause.passing or attempt == ATTEMPTS:
                advice = cause.advice.format(need_gb=NEED_GB, tmp=tempfile.gettempdir())
                raise cause.error(f"{tail}\n\n{advice}\nThe whole output: {self.log}")
            say(f"no connection; try {attempt + 1} of {ATTEMPTS} in {attempt * 5} s")
            time.sleep(attempt * 5)

    def _run(self, command: list[str]) -> tuple[int, str]:
        """Run one command into the log, say how it goes; return its exit code and last lines."""
        lines: list[str] = []
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process,
        ):
            for line in _lines(process):
                log.write(line)
                lines.append(line)
            return process.wait(), "".join(lines[-15:]).rstrip()


def environment() -> dict[str, str]:
    """Return this process's environment without what would lead pip out of the virtual environment."""
    hidden = {
        "PYTHONPATH",
        "PYTHONHOME",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_VIRTUALENV",
        "COVERAGE_PROCESS_CONFIG",
    }
    return {key: value for key, value in os.environ.items() if key not in hidden} | {"PIP_USER": "0"}


def say(text: str) -> None:
    """Print one progress line at once."""
    print(f"      {text}", flush=True)
    sys.stdout.flush()


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines of a process's output, and say what it does at least every `QUIET_S` seconds."""
    assert process.stdout is not None
    stdout = process.stdout
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in stdout:
            waiting.put(line)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    doing, files, said = "asking the index", 0, time.monotonic()
    while True:
        try:
            line = waiting.get(timeout=1)
        except queue.Empty:
            line = ""
        if line is None:
            return
        if line:
            yield line
        if found := DOWNLOAD.match(line):
            files += 1
            doing = f"file {files}: {found.group(1)}{found.group(2) or ''}"
        elif line.startswith("Installing collected packages"):
            doing = f"unpacking {line.count(',') + 1} distributions"
        if time.monotonic() - said >= QUIET_S:
            say(doing)
            said = time.monotonic()
