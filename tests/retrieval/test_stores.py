import signal
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import BadRequest, ConfigurationError, Conflict, NotFound, Unavailable
from retrieval.index.protocol import Kind, Metric, Shape
from retrieval.store import Store
from retrieval.stores import Stores
from tests.fixtures.stores import SHAPE, add, content

CRASH = """
import os, signal, sys, threading
from pathlib import Path
from retrieval.index.protocol import Shape
from retrieval.stores import Stores

stores = Stores.open(Path(sys.argv[1]))
stores.create("a", Shape.of(3, "l2", "flat"))
store = stores["a"]
for id_ in range(int(sys.argv[2]), 10**6):
    store.add([id_], [[id_, id_ * id_ % 7, 1]])
    print(id_, flush=True)
    if id_ % 25 == 0:
        store.snapshot()
"""


def test_kill_9_in_the_middle_of_writing_loses_nothing_acknowledged(tmp_path: Path) -> None:
    first = 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", CRASH, str(tmp_path / "search"), str(first)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(60)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().splitlines()]
        child.stdout.close()
        child.wait()
        stores = Stores.open(tmp_path / "search")
        found = content(stores["a"])
        stores.close()
        assert found in (list(range(acknowledged[-1] + 1)), list(range(acknowledged[-1] + 2)))
        first = found[-1] + 1


def test_a_second_process_is_refused_and_would_not_see_the_changes(tmp_path: Path) -> None:
    """Why search has one replica: each holds the index in its memory, and nothing tells it of another's changes."""
    stores = Stores.open(tmp_path)
    stores.create("a", SHAPE)
    with pytest.raises(ConfigurationError, match="in use by pid"):
        Stores.open(tmp_path)
    second = Store.open(tmp_path / "a")
    add(stores["a"], 1)
    assert content(stores["a"]) == [1]
    assert content(second) == []
    second.close()
    stores.close()


def test_stores_by_name(tmp_path: Path) -> None:
    stores = Stores.open(tmp_path)
    assert stores.create("a", SHAPE)
    assert not stores.create("a", SHAPE)
    with pytest.raises(Conflict):
        stores.create("a", Shape(4))
    for name in ("", "..", "a/b", ".new-1", "lock/", "x" * 129, "ä"):
        with pytest.raises(BadRequest, match="store's name"):
            stores.create(name, SHAPE)
    with pytest.raises(NotFound, match="no store 'b'"):
        stores["b"]
    stores.create("b", Shape(2, Metric.IP, Kind.HNSW))
    add(stores["a"], 1)
    stores.snapshot_all()
    stores.close()
    (tmp_path / ".new-12345678").mkdir()
    again = Stores.open(tmp_path)
    stats = again.stats()
    assert set(stats) == {"a", "b"}
    assert stats["a"] is not None
    assert (stats["a"].size, stats["a"].generation, stats["a"].log_bytes) == (1, 2, 0)
    assert not (tmp_path / ".new-12345678").exists()
    again.close()


def test_a_damaged_store_leaves_the_others_alone(tmp_path: Path) -> None:
    stores = Stores.open(tmp_path)
    for name in ("a", "b"):
        stores.create(name, SHAPE)
    add(stores["b"], 1)
    stores.close()
    (tmp_path / "a" / "00000001.snapshot").write_bytes(b"x")
    again = Stores.open(tmp_path)
    assert content(again["b"]) == [1]
    for ask in (lambda: again["a"], lambda: again.create("a", SHAPE)):
        with pytest.raises(Unavailable, match="damaged"):
            ask()
    assert again.stats()["a"] is None
    again.close()
