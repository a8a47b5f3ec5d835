"""Where a model's own work runs: on a machine without a GPU, in the engine core's process.

vLLM puts it in a process of its own there, because OpenMP reads its settings when the library loads and the core has
loaded it by then. A core that is born with those settings needs no second process: it starts in half the time, and each
step saves two trips between processes (ADR 7 has the figures).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from vllm.config import VllmConfig
from vllm.platforms import current_platform
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.executor.uniproc_executor import UniProcExecutor


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
    config.parallel_config.distributed_executor_backend = UniProcExecutor
    with OMPProcessManager(config).configure_omp_envs(rank=0, local_rank=0):
        yield
