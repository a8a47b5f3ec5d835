"""Snapshots of collections as sealed files; a file that is damaged or foreign counts as none.

Every file is a row of pieces (`retrieval.archive`), each with its length in front, sealed with the key of the store's
owner and bound to the store: nothing reaches FAISS that this installation did not write. Only time is lost with one.
Its name tells the change at which it stands, so that one that holds what was removed since is known without a key, and
a replica that lags replaces no newer one.
"""

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from configs import files
from configs.errors import NotFound, Unreadable
from configs.frames import HEAD_BYTES
from configs.seal import fields, open_sealed, seal
from retrieval import archive
from retrieval.collection import Collection
from retrieval.feed import StoreKey
from retrieval.index.protocol import Place
from retrieval.shards import WHOLE, Shard

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
MOST_BYTES = 2 * archive.PIECE_BYTES
"""No piece is longer, so a damaged length asks for no memory."""
SUFFIX = ".snapshot"
PLACE = re.compile(r"([A-Za-z0-9_-]{1,128})\.([0-9]{1,19})\.snapshot\Z")
"""A store, and the change at which it stands."""
FOLDER = re.compile(r"\d+-of-(\d+)\Z")
"""Of a shard, in the folder of all (`Shard.name`)."""
OLD_S = 3600.0


class Shelf:
    """The folder, or a shard's own below it. What was left by another number of shards is removed."""

    def __init__(
        self, folder: Path, place: Place = "cpu", budget_bytes: int | None = None, shard: Shard = WHOLE
    ) -> None:
        self.shard = shard
        self._root = folder
        self._folder = folder / shard.name
        self._place = place
        self._budget_bytes = budget_bytes
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clear()

    def save(self, store: StoreKey, collection: Collection) -> bool:
        """Write a snapshot, whole or not at all; False, and there is none, of what holds chunks that were removed.

        Raises:
            ConfigurationError: the disk is full or refuses.
        """
        content = collection.content()
        if content.holds_dead:
            return False
        path = self._path(store.store_id, content.seq)
        with files.disk_faults(path):
            files.replace(path, _framed(archive.dump(content, _Bound(store, content.seq, self.shard).seal)))
            for seq in self._seqs(store.store_id):
                if seq < content.seq:
                    self.forget(store.store_id, seq)
        return True

    def load(self, store: StoreKey) -> Collection | None:
        """The collection of a store as it was saved last; None where there is none that can be trusted."""
        for seq in sorted(self._seqs(store.store_id), reverse=True):
            bound = _Bound(store, seq, self.shard)
            try:
                content = archive.load(_pieces(self._path(store.store_id, seq)), bound.unseal)
                return Collection.of(content, self._budget_bytes, self._place)
            except (archive.Refused, OSError) as error:
                log.warning("a snapshot of %s is not used: %s", store.store_id, error)
        return None

    def saved_bytes(self, store_id: str) -> int:
        """What the largest snapshot of a store takes; 0 where there is none."""
        sizes = [0]
        for seq in self._seqs(store_id):
            with contextlib.suppress(FileNotFoundError):  # it may just have been replaced
                sizes.append(self._path(store_id, seq).stat().st_size)
        return max(sizes)

    def clear(self) -> None:
        """Remove what killed processes left half written, and what was left by another number of shards.

        Replicas that are ending may write there still, so once is not enough.
        """
        for folder in {self._root, self._folder}:
            _remove_drafts(folder, time.time() - OLD_S)
        _remove_others(self._root, self.shard)

    def places(self) -> list[tuple[str, int]]:
        """The store of each snapshot here, and the change at which it stands."""
        return sorted(_places(self._folder))

    def stores(self) -> list[str]:
        """Stores that have a snapshot here."""
        return sorted({store_id for store_id, _ in self.places()})

    def forget(self, store_id: str, seq: int) -> None:
        """Remove the snapshot of a store that stands at that change, if there is one."""
        self._path(store_id, seq).unlink(missing_ok=True)

    def remove(self, store_id: str) -> None:
        """Remove all snapshots of a store."""
        for seq in self._seqs(store_id):
            self.forget(store_id, seq)

    def _seqs(self, store_id: str) -> list[int]:
        if not NAME.match(store_id):
            raise NotFound("There is no such vector store.", param="vector_store_id")
        return [seq for name, seq in _places(self._folder, store_id) if name == store_id]

    def _path(self, store_id: str, seq: int) -> Path:
        return self._folder / f"{store_id}.{seq}{SUFFIX}"


class _Bound:
    """The seal of one store's pieces at one change, as one shard holds them."""

    def __init__(self, store: StoreKey, seq: int, shard: Shard) -> None:
        self._store = store
        self._seq = seq
        self._shard = shard

    def seal(self, piece: bytes, place: bytes) -> bytes:
        return seal(self._store.key, piece, self._aad(place))

    def unseal(self, piece: bytes, place: bytes) -> bytes:
        try:
            return open_sealed(self._store.key, piece, self._aad(place))
        except Unreadable as error:
            raise ValueError(error.message) from error

    def _aad(self, place: bytes) -> bytes:
        own = [self._shard.name] if self._shard.name else []
        bound = fields("manta snapshot", self._store.organization_id, self._store.store_id, str(self._seq), *own)
        return bound + place


def _places(folder: Path, store_id: str = "*") -> list[tuple[str, int]]:
    found = (PLACE.match(path.name) for path in folder.glob(f"{store_id}.*{SUFFIX}"))
    return [(match[1], int(match[2])) for match in found if match]


def empty(folder: Path) -> None:
    """Remove all that shelves of whatever shards left: where nobody searches, nobody removes what is deleted later."""
    _remove_snapshots(folder)
    _remove_drafts(folder, time.time())
    _remove_shards(folder)


def _remove_others(folder: Path, shard: Shard) -> None:
    """Snapshots that hold chunks of a shard that there is no more; another replica may be removing them too."""
    if shard.count > 1:
        _remove_snapshots(folder)
    _remove_shards(folder, kept=shard.count)


def _remove_snapshots(folder: Path) -> None:
    for store_id, seq in _places(folder):
        (folder / f"{store_id}.{seq}{SUFFIX}").unlink(missing_ok=True)


def _remove_drafts(folder: Path, before: float) -> None:
    """Those of before that time, in Unix seconds; another replica may be writing a young one."""
    for draft in folder.glob(f".*{SUFFIX}.*"):
        with contextlib.suppress(FileNotFoundError):
            if draft.stat().st_mtime < before:
                draft.unlink()


def _remove_shards(folder: Path, kept: int | None = None) -> None:
    for path in folder.glob("*-of-*"):
        match = FOLDER.match(path.name)
        if match is not None and int(match[1]) != kept:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)


def _framed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield len(piece).to_bytes(HEAD_BYTES, "big")
        yield piece


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(HEAD_BYTES):
            length = int.from_bytes(head, "big")
            if len(head) < HEAD_BYTES or length > MOST_BYTES:
                raise archive.Refused("a length is cut or damaged")
            piece = file.read(length)
            if len(piece) < length:
                raise archive.Refused("a piece is cut")
            yield piece
