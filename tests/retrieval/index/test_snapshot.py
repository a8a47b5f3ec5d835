import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.index import faiss, snapshot
from retrieval.index.protocol import Index, Kind, Metric, Shape


def index_of(shape: Shape, count: int = 40) -> Index:
    index = faiss.create(shape)
    ids = np.arange(count, dtype=np.int64) * 2**40
    index.add(ids, np.random.default_rng(0).normal(size=(count, shape.dimensions)).astype(np.float32))
    index.delete(ids[::3])
    return index


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("count", [0, 40])
def test_what_is_loaded_answers_as_before_and_goes_on(tmp_path: Path, metric: Metric, kind: Kind, count: int) -> None:
    index = index_of(Shape(5, metric, kind), count)
    path = tmp_path / "index"
    assert snapshot.save(path, index) == path.stat().st_size
    loaded = snapshot.load(path)
    assert (loaded.shape, loaded.size) == (index.shape, index.size)
    queries = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    for each in (index, loaded):
        each.add(np.array([1, 2**40]), queries[:2])
        each.delete(np.array([2**41, 5]))
    for before, after in zip(index.search(queries, 7), loaded.search(queries, 7), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [file.name for file in tmp_path.iterdir()] == ["index"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "index"
    snapshot.save(path, index_of(Shape(5)))
    return path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_with_any_other_byte_is_refused(
    tmp_path_factory: pytest.TempPathFactory, good: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != good[place]))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(good[:place] + bytes([other]) + good[place + 1 :])
    with pytest.raises(snapshot.Refused):
        snapshot.load(path)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_file_that_is_cut_or_longer_is_refused(
    tmp_path_factory: pytest.TempPathFactory, good: bytes, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(good) - 1))
    path = tmp_path_factory.getbasetemp() / "cut"
    for content in (good[:length], good + b"x"):
        path.write_bytes(content)
        with pytest.raises(snapshot.Refused):
            snapshot.load(path)


def test_another_format_is_named(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "newer"
    path.write_bytes(good[:8] + struct.pack("<I", 2) + good[12:])
    with pytest.raises(snapshot.Refused, match="format 2; this program reads 1"):
        snapshot.load(path)


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.mkdir()
    (path / "in the way").touch()
    with pytest.raises(OSError, match="index"):
        snapshot.save(path, index_of(Shape(5)))
    assert [file.name for file in tmp_path.iterdir()] == ["index"]
