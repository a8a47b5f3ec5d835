"""Everything a change must pass: `python -m scripts.test [--deep] [--only lint|unit|stack|faults]`, or `make test`.

Lint, types and import rules come first and end the run when they fail; the tests all run. Line coverage is measured in
every Python process of the stacks, Ray's workers too (`scripts/coverage/sitecustomize.py` says how). Tests that kill
parts are not measured: a killed process tells little, and measuring makes each of their many starts slower by half.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
DATA = ROOT / ".coverage-data"
GROUPS = ("lint", "unit", "stack", "faults")
DEEP_BENCHES = (
    ("vanish",),
    ("streams500",),
    ("people",),
    ("ingest", "--short"),
    ("files100k", "--short", "--count", "5000"),
    ("upserts", "--short"),
)
"""What fails when an answer does; tables of the full ones go to `bench/RESULTS.md`."""
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
"""Tests that share no stack; many of them wait for something, so two cores have room for both."""
NOTHING_COLLECTED = 5  # pytest's exit status


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the run."""

    group: str
    title: str
    command: tuple[str, ...]
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step went."""

    step: Step
    status: int
    took_s: float

    @property
    def word(self) -> str:
        """What the summary says."""
        if self.status == NOTHING_COLLECTED and self.step.measured:
            return "FAILED: no tests were found"
        return "ok" if self.status == 0 else f"FAILED (status {self.status})"


def steps(*, deep: bool) -> list[Step]:
    """All steps, in order."""
    python = sys.executable
    pytest = (python, "-m", "pytest", "--durations=5", *(() if deep else ("-m", "not deep")))
    apart = ("tests/stack", "tests/faults")
    return [
        Step("lint", "format", (python, "-m", "ruff", "format", "--check", ".")),
        Step("lint", "ruff", (python, "-m", "ruff", "check", ".")),
        Step("lint", "types", (python, "-m", "mypy")),
        Step("lint", "import rules", (str(BIN / "lint-imports"),)),
        Step(
            "unit",
            "unit and contract tests",
            (*pytest, *SIDE_BY_SIDE, "tests", *(f"--ignore={path}" for path in apart)),
            True,
        ),
        Step("stack", "tests on a running stack", (*pytest, "tests/stack"), True),
        Step("faults", "tests that kill parts", (*pytest, "tests/faults")),
        *(
            Step("faults", f"bench {asked[0]}", (python, "-m", "bench", *asked))
            for asked in (DEEP_BENCHES if deep else ())
        ),
    ]


def measuring() -> dict[str, str]:
    """The environment in which every Python process measures itself, those of a stack too: it keeps `COVERAGE_*`."""
    given = os.environ.get("PYTHONPATH")
    folders = [str(ROOT / "scripts" / "coverage"), *([given] if given else [])]
    return {
        "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
        "COVERAGE_FILE": str(DATA / ".coverage"),
        "PYTHONPATH": os.pathsep.join(folders),
    }


def run(step: Step, number: int, count: int) -> Outcome:
    """Run one step, its output on the terminal."""
    print(f"\n[{number}/{count}] {step.title}", flush=True)
    outcome = call(step, measuring() if step.measured else {})
    print(f"      {outcome.word}, {outcome.took_s:.0f} s", flush=True)
    return outcome


def call(step: Step, extra: Mapping[str, str]) -> Outcome:
    """Run a command in the repository's folder."""
    started = time.monotonic()
    status = subprocess.run(step.command, cwd=ROOT, env={**os.environ, **extra}, check=False).returncode
    return Outcome(step, status, time.monotonic() - started)


def run_all(chosen: list[Step]) -> list[Outcome]:
    """Run the steps; one of lint that fails ends the run after the rest of lint."""
    outcomes: list[Outcome] = []
    for number, step in enumerate(chosen, 1):
        if step.group != "lint" and any(outcome.status for outcome in outcomes if outcome.step.group == "lint"):
            break
        outcomes.append(run(step, number, len(chosen)))
    return outcomes


def report_coverage(*, whole: bool) -> list[Outcome]:
    """Join what every process measured and show it; only a whole run must reach the bound of `pyproject.toml`."""
    coverage = (sys.executable, "-m", "coverage")
    print("\ncoverage, all processes together", flush=True)
    file = {"COVERAGE_FILE": measuring()["COVERAGE_FILE"]}
    joined = call(Step("coverage", "joining coverage", (*coverage, "combine", "--quiet", str(DATA))), file)
    bound = () if whole else ("--fail-under=0",)
    return [joined, call(Step("coverage", "coverage report", (*coverage, "report", *bound)), file)]


def summarize(outcomes: list[Outcome], count: int, took_s: float) -> int:
    """Print one line per step; return the exit status."""
    print("\nsummary")
    for outcome in outcomes:
        print(f"  {outcome.step.title:<26} {outcome.took_s:6.0f} s  {outcome.word}")
    skipped = count - sum(outcome.step.group in GROUPS for outcome in outcomes)
    failed = skipped > 0 or any(outcome.status for outcome in outcomes)
    if skipped:
        print(f"  {skipped} steps were not run: mend lint first")
    print(f"{'FAILED' if failed else 'passed'} in {took_s / 60:.1f} minutes")
    return int(failed)


def main() -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(description="Check everything that a change must pass.")
    parser.add_argument("--deep", action="store_true", help="the full counts of the fault and load tests")
    parser.add_argument("--only", choices=GROUPS, action="append", help="this group only; may be given again")
    options = parser.parse_args()
    started = time.monotonic()
    chosen = [step for step in steps(deep=options.deep) if step.group in (options.only or GROUPS)]
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    outcomes = run_all(chosen)
    if any(outcome.step.measured for outcome in outcomes):
        outcomes += report_coverage(whole=not options.only)
    return summarize(outcomes, len(chosen), time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
