"""Measure: `python -m bench NAME [--short] [--json FILE]`.

A full run writes its section of `bench/RESULTS.md`; a short one only prints. It ends with 1 when an answer failed.
"""

import argparse
import ast
import sys
from importlib import import_module
from pathlib import Path

from bench import report
from bench.options import Options

NAMES = (
    *("chat", "mock", "streams500", "people", "startup", "vanish", "embedding"),
    *("encryption", "identity", "door", "logins", "plans", "backup", "index", "searching", "knowledge", "ingest"),
    *("retrieval", "upserts", "files100k"),
)
"""Files here with `run(options) -> Report`; `all` runs one after the other. `bench.live` takes options of its own."""


def main() -> None:
    """Run one bench."""
    listing = "\n".join(f"  {name:12s} {summary(name)}" for name in NAMES)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--short", action="store_true", help="few requests, for trying it out; writes no results")
    parser.add_argument("--concurrency", default="", help="numbers of clients instead of the usual ones, like 1,16")
    parser.add_argument("--count", type=int, default=0, help="how many files instead of the usual number (files100k)")
    parser.add_argument("--json", type=Path, help="where to write everything that was measured")
    asked = parser.parse_args()
    clients = tuple(int(number) for number in asked.concurrency.split(",") if number)
    failed = False
    for name in NAMES if asked.name == "all" else (asked.name,):
        found: report.Report = import_module(f"bench.{name}").run(Options(asked.short, clients, asked.count))
        keep(found, asked.json, written=not asked.short)
        failed |= found.failed
    sys.exit(failed)


def keep(found: report.Report, file: Path | None, *, written: bool) -> None:
    """Print, and write where that was asked for."""
    machine = report.machine()
    line = report.machine_line(machine)
    sys.stdout.write(found.markdown(line) + "\n")
    if file is not None:
        file.write_bytes(found.json(machine))
    if written:
        report.write_section(found, line)


def summary(name: str) -> str:
    """The first line of a bench's docstring."""
    source = (report.FOLDER / f"{name}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
