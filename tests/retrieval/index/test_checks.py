import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from configs.errors import BadRequest, ConfigurationError
from retrieval.index import checks
from retrieval.index.protocol import MAX_K, Shape
from retrieval.index.segments import choose_place


@pytest.mark.parametrize(
    ("asked", "gpus", "expected"),
    [("auto", 0, "cpu"), ("auto", 1, "gpu"), ("gpu", 2, "gpu"), ("cpu", 1, "cpu")],
)
def test_where_an_index_lives(asked: Any, gpus: int, expected: str) -> None:
    assert choose_place(asked, gpus) == expected


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"search\.device is 'gpu'"):
        choose_place("gpu", 0)


@pytest.mark.parametrize(
    "bad",
    [
        [[1.0]],
        [1.0, 2.0],
        [[1.0, np.nan]],
        [[np.inf, 0]],
        [[1e16, 0]],
        [[-1e300, 0]],
        [["a", "b"]],
        [[0, 0]],
        [[1], []],
    ],
)
def test_vectors_that_are_refused(bad: Any) -> None:
    with pytest.raises(BadRequest, match="'vectors'"):
        checks.vectors(bad, Shape(2))


@pytest.mark.parametrize("bad", [0, -1, MAX_K + 1, 1.0, True, None, "3"])
def test_k_that_is_refused(bad: Any) -> None:
    with pytest.raises(BadRequest, match="'k'"):
        checks.k(bad)


@pytest.mark.parametrize("bad", [0, 2**20, 1.0, True])
def test_dimensions_that_are_refused(bad: Any) -> None:
    with pytest.raises(BadRequest, match="'dimensions'"):
        Shape(bad)


def test_good_input_is_taken_in_any_number_format() -> None:
    assert checks.vectors([[1, 2]], Shape(2)).dtype == np.float32
    assert checks.vectors(np.empty((0, 2)), Shape(2)).shape == (0, 2)
    assert checks.k(np.int64(3)) == 3


def test_faiss_comes_without_torch() -> None:
    words = "import sys, retrieval.following; sys.exit('torch' in sys.modules or 'vllm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False, timeout=60).returncode == 0
