"""Saves what a process measured while it runs, for those that get no chance at their end.

Python imports a module of this name at start-up from a folder of `PYTHONPATH`; `scripts/test.py` puts this one there.
coverage's own `.pth` file has started measuring by then (`COVERAGE_PROCESS_START`), and saves when a process ends
by itself, by SIGTERM or by `os._exit`. A test's `kill -9` and Ray's C++ side leave no such chance. Nothing of Manta
knows this file, and without that variable it does nothing.
"""

import contextlib
import os
import sys
import threading
import time
from typing import Any

PAUSE_S = 5.0


def measurement() -> Any:  # noqa: ANN401  a coverage.Coverage, not imported where nothing is measured
    """What coverage's `.pth` file started in this process; None when it did not."""
    coverage = sys.modules.get("coverage")
    return getattr(coverage.process_startup, "coverage", None) if coverage else None


def save_now_and_then(started: Any) -> None:  # noqa: ANN401
    """Save until the process ends; coverage's own save at the end adds the rest."""
    while True:
        time.sleep(PAUSE_S)
        with contextlib.suppress(Exception):  # the tracer's dictionaries grow meanwhile; the next round saves
            started.save()


if os.environ.get("COVERAGE_PROCESS_START") and (found := measurement()) is not None:
    threading.Thread(target=save_now_and_then, args=(found,), name="coverage-saver", daemon=True).start()
