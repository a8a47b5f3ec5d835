"""Where a model's own work runs: on a machine without a GPU, in the engine core's process.

vLLM puts it in a process of its own there, because OpenMP reads its settings when the library loads and the core has
loaded it by then. A core that is born with those settings needs no second process: it starts in half the time, and each
step saves two trips between processes (ADR 7 has the figures).
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vllm.config import VllmConfig
from vllm.platforms import current_platform
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.executor.uniproc_executor import UniProcExecutor

log = logging.getLogger(__name__)

IDLE_SLACK_NS = 100_000_000
"""How late a wait without an event may end in the threads that the start of a model leaves behind."""


class CoreExecutor(UniProcExecutor):
    """vLLM's executor for one process, quiet while nobody asks.

    The start makes a dozen groups of one process, and each group's gloo loop looks around a hundred times a second.
    Linux ends the waits of threads with slack together and later; an event still ends them at once.
    """

    def _init_executor(self) -> None:
        with slack(IDLE_SLACK_NS):
            super()._init_executor()


@contextmanager
def slack(slack_ns: int) -> Iterator[None]:
    """Threads that are started by this one within it inherit this timer slack (`man 2 PR_SET_TIMERSLACK`)."""
    setting = Path(f"/proc/{threading.get_native_id()}/timerslack_ns")
    try:
        before = setting.read_text()
        setting.write_text(str(slack_ns))
    except OSError as error:
        log.info("the engine's idle threads keep their timers: %s", error)
        yield
        return
    try:
        yield
    finally:
        setting.write_text(before)


def fits_one_process(config: VllmConfig, asked: str | None) -> bool:
    """Whether the core can do the work itself; `asked` is the entry's `distributed_executor_backend`."""
    parallel = config.parallel_config
    alone = parallel.world_size == 1 and parallel.data_parallel_size == 1
    return asked in {None, "uni"} and alone and bool(current_platform.is_cpu())


@contextmanager
def place(config: VllmConfig, asked: str | None) -> Iterator[None]:
    """Within it the core is to be started: it inherits the OpenMP settings that vLLM would give its first worker."""
    if not fits_one_process(config, asked):
        yield
        return
    config.parallel_config.distributed_executor_backend = CoreExecutor
    with OMPProcessManager(config).configure_omp_envs(rank=0, local_rank=0):
        yield
