import itertools
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from api.backup.manifest import Count, Manifest, Part, name_of, new_id
from api.backup.store import Store, ahead
from api.storage.target import Folder
from configs.errors import ConfigurationError, DamagedBackup, NotFound
from configs.keyring import Keyring
from tests.fixtures.backups import content, keyring, store_in

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = itertools.count()


def manifest(store: Store, backup_id: str | None = None, **streams: tuple[Part, ...]) -> Manifest:
    return Manifest(
        id=backup_id or new_id(NOW), kind="logical", started_at=NOW, finished_at=NOW, version="1", server="18.4",
        revision="0001", streams=streams, rows={"t": Count(rows=1)}, key=store.keys.active.id,
    )  # fmt: skip


def kept(store: Store, words: bytes) -> Manifest:
    backup_id = new_id(NOW + timedelta(microseconds=next(LATER)))
    backup = manifest(store, backup_id, words=store.send(backup_id, "words", [words]))
    store.finish(backup)
    return backup


def test_a_stream_lies_in_parts_and_comes_back(store: Store) -> None:
    words = os.urandom(3 * 2**20 + 7)
    backup = kept(store, words)
    parts = backup.streams["words"]
    assert len(parts) == 4
    assert [part.name for part in parts] == sorted(part.name for part in parts)
    assert backup.size == sum(len(store.target.get(part.name)) for part in parts)
    assert b"".join(store.fetch(store.manifest(backup.id), "words")) == words


def test_the_newest_is_meant_without_an_id(store: Store) -> None:
    with pytest.raises(NotFound, match="there is no backup in"):
        store.manifest(None)
    backups = sorted((kept(store, b"x") for _ in range(3)), key=lambda backup: backup.id)
    assert store.manifest(None) == backups[-1]
    assert store.all() == backups
    with pytest.raises(NotFound, match="the newest is"):
        store.manifest("20260101T000000Z-00000000")


@pytest.mark.parametrize("harm", ["flip", "cut", "swap", "remove", "grow"])
def test_a_harmed_part_is_found(store: Store, harm: str) -> None:
    backup = kept(store, os.urandom(2**21 + 7))
    first, second = (part.name for part in backup.streams["words"][:2])
    was = store.target.get(first)
    if harm == "swap":
        store.target.put(first, store.target.get(second))
        store.target.put(second, was)
    elif harm == "remove":
        store.target.delete(first)
    else:
        changed = {"flip": was[:99] + bytes([was[99] ^ 1]) + was[100:], "cut": was[:-1], "grow": was + b"\0"}
        store.target.put(first, changed[harm])
    with pytest.raises(DamagedBackup, match=first):
        b"".join(store.fetch(backup, "words"))
    with pytest.raises(DamagedBackup, match=first):
        store.check(backup.streams["words"][0])


def test_parts_that_a_forged_manifest_reorders_are_found(store: Store) -> None:
    """Even with the hashes of the reordered parts, the stream does not open."""
    backup = kept(store, os.urandom(2**21 + 7))
    first, second, *rest = backup.streams["words"]
    forged = backup.model_copy(update={"streams": {"words": (second, first, *rest)}})
    with pytest.raises(DamagedBackup):
        b"".join(store.fetch(forged, "words"))
    cut = backup.model_copy(update={"streams": {"words": (first, second)}})
    with pytest.raises(DamagedBackup):
        b"".join(store.fetch(cut, "words"))


def test_a_stream_of_another_backup_is_found(store: Store) -> None:
    one, two = kept(store, b"one"), kept(store, b"two")
    forged = one.model_copy(update={"streams": two.streams})
    with pytest.raises(DamagedBackup, match=f"{one.id}/words"):
        b"".join(store.fetch(forged, "words"))


def test_a_changed_manifest_is_found(store: Store) -> None:
    backup = kept(store, b"words")
    name = name_of(backup.id)
    was = store.target.get(name)
    told = orjson.loads(was)
    changes = [
        {"revision": "0002"}, {"rows": {"t": {"rows": 2, "added": 0, "removed": 0}}}, {"hmac": "0" * 64}, {"more": 1},
        {"finished_at": "2026-11-27T12:00:00Z"},
    ]  # fmt: skip
    for changed in [told | change for change in changes]:
        store.target.put(name, orjson.dumps(changed))
        with pytest.raises(DamagedBackup, match="was changed"):
            store.manifest(None)
    for noise in (b"", b"[]", b"{}", was[:-2], b'{"hmac": 1, "key": "x"}'):
        store.target.put(name, noise)
        with pytest.raises(ConfigurationError):
            store.manifest(None)
    store.target.put(name, orjson.dumps(told | {"format": 2}))
    with pytest.raises(ConfigurationError, match="is of format 2"):
        store.manifest(None)
    store.target.put(name, was)
    assert store.manifest(None) == backup


def test_another_keyring_reads_no_manifest(store: Store, tmp_path: Path) -> None:
    kept(store, b"words")
    with pytest.raises(ConfigurationError, match="has no key"):
        store_in(tmp_path / "target", keyring(tmp_path, "others")).manifest(None)


def test_an_object_of_many_parts_is_there_when_its_last_one_is(store: Store) -> None:
    words = os.urandom(2**21 + 7)
    store.send_blob("blobs/x", [words])
    names = list(store.target.names("blobs/x/"))
    assert [name.endswith(".end") for name in names] == [False, False, True]
    assert b"".join(store.fetch_blob("blobs/x")) == words
    store.target.delete(names[0])
    with pytest.raises(DamagedBackup):
        b"".join(store.fetch_blob("blobs/x"))
    store.target.delete(names[-1])
    with pytest.raises(DamagedBackup, match="lacks blobs/x"):
        b"".join(store.fetch_blob("blobs/x"))


def test_small_objects_have_their_place(store: Store) -> None:
    store.put("wal/a/1", b"one")
    assert store.get("wal/a/1") == b"one"
    store.target.put("wal/a/2", store.target.get("wal/a/1"))
    with pytest.raises(DamagedBackup, match="wal/a/2"):
        store.get("wal/a/2")


class Full(Folder):
    """A disk that takes three objects."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.left = 3
        self.lock = threading.Lock()

    def put(self, name: str, content: bytes) -> None:
        with self.lock:
            self.left -= 1
            if self.left < 0:
                raise ConfigurationError("the disk is full; free some space")
        super().put(name, content)


def test_a_target_that_is_full_ends_the_sending(tmp_path: Path, keys: Keyring) -> None:
    store = Store(Full(tmp_path / "full"), keys, 2**16)
    with pytest.raises(ConfigurationError, match="the disk is full"):
        store.send("b", "words", [os.urandom(2**20) for _ in range(20)])
    assert len(content(store.target)) == 3
    with pytest.raises(ConfigurationError, match="the disk is full"):
        store.send_blob("blobs/x", [b"x"])


def test_pieces_are_fetched_ahead_in_their_order_and_a_failure_comes_at_its_place() -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(20):
            yield bytes([number])
        raise DamagedBackup("cut")

    found = ahead(pieces())
    assert [next(found) for _ in range(20)] == [bytes([number]) for number in range(20)]
    with pytest.raises(DamagedBackup, match="cut"):
        next(found)
    assert list(ahead(iter([]))) == []
    assert next(ahead(iter([b"1", b"2"]))) == b"1"
