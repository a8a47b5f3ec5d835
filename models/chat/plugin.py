"""A vLLM plugin: engine processes end with their parent, however it ends.

vLLM calls `register` in every process it starts. Without this, kill -9 of a replica leaves its engine core and workers
running and holding their memory.
"""

import ctypes
import multiprocessing
import os
import signal

PR_SET_PDEATHSIG = 1


def register() -> None:
    """Ask the kernel for SIGKILL when the parent ends; does nothing in the replica itself."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)
