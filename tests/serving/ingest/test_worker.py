"""What a worker loads and how; that Ray runs it is for the stack's tests."""

import os
import threading
from collections.abc import Iterator

import pytest
import torch

from configs.errors import ConfigurationError
from configs.specs import ModelSpec
from serving.ingest.worker import load, lower_priority
from tests.fixtures.encoders import MINILM, spec


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def written(made: ModelSpec) -> str:
    """As `control` hands it over."""
    return made.model_dump_json(exclude_defaults=True)


def test_it_loads_the_model_of_a_replica_with_all_cores_and_no_gpu_of_its_own() -> None:
    made = spec(MINILM, threads=1, device="cuda", document_prefix="passage: ", max_batch_tokens=512)
    embedder = load(written(made))
    assert torch.get_num_threads() == len(os.sched_getaffinity(0))
    assert (embedder.dimensions, embedder.batch_tokens, embedder.model_name) == (384, 512, "m")
    assert embedder.prefix(None) == ""


def test_a_model_that_is_not_there_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError):
        load(written(spec("/nowhere/at/all")))


def test_idle_priority_is_that_of_a_thread_and_what_it_starts() -> None:
    found: list[int] = []

    def lowered() -> None:
        lower_priority()
        inner = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
        inner.start()
        inner.join()

    thread = threading.Thread(target=lowered)
    thread.start()
    thread.join()
    assert found == [os.SCHED_IDLE]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
