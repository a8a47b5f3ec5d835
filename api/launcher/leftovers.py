"""What a launcher that was killed left behind, found and ended."""

import logging
import os
import signal

from configs import procfs
from configs.datadir import Layout
from configs.ledger import Ledger
from configs.processes import Child

log = logging.getLogger(__name__)

GRACE_S = 5.0


def end_leftovers(layout: Layout) -> None:
    """End what an earlier launcher of this data directory left running; the front port is free afterwards."""
    end_workers(layout, grace_s=0)
    ledger = Ledger(layout.processes)
    for child in ledger.survivors():
        log.warning("ending %s (pid %d), left by a launcher that was killed", child.name, child.pid)
        child.terminate(GRACE_S, signal.SIGINT if child.name == "postgres" else signal.SIGTERM)
        ledger.remove(child)


def end_workers(layout: Layout, grace_s: float = GRACE_S) -> None:
    """End everything that works in Ray's folder: workers, engines, and what they started."""
    found = [Child.adopt("worker", pid) for pid in procfs.inside(layout.ray)]
    workers = [child for child in found if child is not None and child.pid != os.getpid()]
    for child in workers:
        child.signal(signal.SIGTERM if grace_s else signal.SIGKILL)
    for child in workers:
        child.terminate(grace_s, signal.SIGKILL)
