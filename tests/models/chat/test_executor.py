"""Where the model's own work runs; that a core starts this way is what every test on a stack shows."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.usage.usage_lib import UsageContext
from vllm.v1.executor.abstract import Executor

from models import sources
from models.chat import executor


@pytest.fixture(scope="module")
def config() -> VllmConfig:
    folder = sources.folder("starter", "transformers")
    arguments = AsyncEngineArgs(model=str(folder), kv_cache_memory_bytes=2**26, enforce_eager=True)
    return arguments.create_engine_config(UsageContext.OPENAI_API_SERVER)


def openmp() -> Mapping[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith(("OMP_", "GOMP_", "KMP_"))}


@pytest.mark.skipif(not current_platform.is_cpu(), reason="a GPU's engine is one process by itself")
def test_without_a_gpu_the_core_does_the_work(config: VllmConfig) -> None:
    before = openmp()
    with executor.place(config, None):
        assert Executor.get_class(config) is executor.CoreExecutor
        assert "OMP_NUM_THREADS" in openmp()
    assert openmp() == before


@pytest.mark.parametrize("asked", ["mp", "ray"])
def test_what_the_entry_asks_for_stays(config: VllmConfig, asked: str) -> None:
    assert not executor.fits_one_process(config, asked)


def test_several_workers_stay_processes(config: VllmConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.parallel_config, "world_size", 2)
    assert not executor.fits_one_process(config, None)


def test_threads_inherit_slack_and_the_starter_keeps_none() -> None:
    def own() -> int:
        return int(Path(f"/proc/{threading.get_native_id()}/timerslack_ns").read_text())

    before, found = own(), list[int]()
    with executor.slack(7_000_000):
        thread = threading.Thread(target=lambda: found.append(own()))
        thread.start()
        thread.join()
    assert found == [7_000_000]
    assert own() == before
