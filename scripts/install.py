"""Make `.venv` and install the locked sets into it: `python3.11 -m scripts.install [--dev]`, or `make install`.

A second run does nothing. A run after one that died finds the broken parts and goes on. `MANTA_DEVICE=cpu|gpu` chooses
the set (default: gpu when `nvidia-smi` answers), `TORCH_INDEX` names where torch comes from (an index or a folder).
"""

import argparse
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.installer.errors import InstallFailed
from scripts.installer.pip import NEED_GB, environment, say
from scripts.installer.plan import Plan, Step, choose_device
from scripts.installer.repair import forget_broken
from scripts.installer.state import State, load, save, underway

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / "manta-install.json"
PYTHON = ".".join(platform.python_version_tuple()[:2])


@contextmanager
def alone() -> Iterator[None]:
    """Hold the install lock; a second install waits for the first."""
    folder = os.open(ROOT / "requirements", os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another install is running here: waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def prepare(state: State, device: str) -> State:
    """Make the virtual environment, or keep the one that fits; repair it when the last run died."""
    fits = (state.root, state.python, state.device) == (str(ROOT), PYTHON, device)
    if fits and (VENV / "bin" / "python").exists():
        if state.running:
            repair(state)
        return state
    if shutil.disk_usage(ROOT).free < NEED_GB * 2**30:
        say(f"only {shutil.disk_usage(ROOT).free / 2**30:.1f} GB are free here, and about {NEED_GB} GB are needed")
    make_environment()
    return State(root=str(ROOT), python=PYTHON, device=device)


def repair(state: State) -> None:
    """Forget what a run that died left half-installed, pip itself included; every step then looks again."""
    broken = forget_broken(next((VENV / "lib").glob("python*/site-packages")))
    say(f"the last run did not finish: {', '.join(broken) or 'nothing'} to install again")
    state.running = ""
    state.done.clear()
    python = str(VENV / "bin" / "python")
    if subprocess.run(
        [python, "-m", "pip", "--version"], env=environment(), capture_output=True, check=False
    ).returncode:
        subprocess.run([python, "-m", "ensurepip", "--upgrade"], env=environment(), capture_output=True, check=True)


def make_environment() -> None:
    """Make a new `.venv`, removing an old one.

    Raises:
        InstallFailed: when this Python has no ensurepip (Debian ships it apart).
    """
    try:
        venv.create(VENV, clear=True, with_pip=True, symlinks=True, prompt="manta")
    except Exception as error:  # venv raises what the pip it starts raises
        shutil.rmtree(VENV, ignore_errors=True)
        raise InstallFailed(
            f"Python {PYTHON} could not make .venv ({error!r}).\n"
            f"On Debian and Ubuntu: apt-get install python{PYTHON}-venv"
        ) from error


def install(state: State, steps: list[Step]) -> None:
    """Run the steps that are not done yet, saying how long each took."""
    for number, step in enumerate(steps, 1):
        if state.done.get(step.name) == step.digest:
            continue
        print(f"[{number}/{len(steps)}] {step.title}", flush=True)
        started = time.monotonic()
        with underway(state, STATE, step.name, step.digest):
            step.run()
        say(f"{time.monotonic() - started:.0f} s")


def main() -> int:
    """Install what is missing; return the exit status."""
    parser = argparse.ArgumentParser(description="Make .venv and install the locked sets into it.")
    parser.add_argument("--dev", action="store_true", help="add what checks and tests Manta")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        with alone():
            state = load(STATE)
            device = choose_device(state.device)
            steps = Plan(ROOT, device, dev=options.dev).steps()
            if (VENV / "bin" / "python").exists() and is_current(state, device, steps):
                print(f".venv is up to date ({device}, Python {PYTHON})")
                return 0
            state = prepare(state, device)
            save(state, STATE)
            install(state, steps)
    except InstallFailed as failure:
        print(f"\ninstall failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninstall stopped; the next run goes on from here", file=sys.stderr)
        return 130
    print(f".venv is ready ({device}, Python {PYTHON}; {(time.monotonic() - started) / 60:.1f} minutes)")
    return 0


def is_current(state: State, device: str, steps: list[Step]) -> bool:
    """Tell whether nothing is left to do."""
    fits = (state.root, state.python, state.device, state.running) == (str(ROOT), PYTHON, device, "")
    return fits and all(state.done.get(step.name) == step.digest for step in steps)


if __name__ == "__main__":
    sys.exit(main())
