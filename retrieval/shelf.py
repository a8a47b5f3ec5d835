"""Snapshots of collections as sealed files, one for each store; a file that is damaged or foreign counts as none.

Every file is a row of pieces (`retrieval.archive`), each with its length in front, sealed with the key of the store's
owner and bound to the store: nothing reaches FAISS that this installation did not write. Only time is lost with one.
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
FOLDER = re.compile(r"\d+-of-(\d+)\Z")
"""Of a shard, in the folder of all (`Shard.name`)."""
OLD_S = 3600.0


class Shelf:
    """The folder, or a shard's own below it. What was left by another number of shards is removed."""

    def __init__(
        self, folder: Path, place: Place = "cpu", budget_bytes: int | None = None, shard: Shard = WHOLE
    ) -> None:
        self.shard = shard
        self._folder = folder / shard.name
        self._place = place
        self._budget_bytes = budget_bytes
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_others(folder, shard)
        for draft in self._folder.glob(
            f".*{SUFFIX}.*"
        ):  # of a process that was killed; another replica may be writing one
            if draft.stat().st_mtime < time.time() - OLD_S:
                draft.unlink(missing_ok=True)

    def save(self, store: StoreKey, collection: Collection) -> None:
        """Write a snapshot, whole or not at all.

        Raises:
            ConfigurationError: the disk is full or refuses.
        """
        path = self._path(store.store_id)
        with files.disk_faults(path):
            files.replace(path, _framed(archive.dump(collection.content(), self._bound(store).seal)))

    def load(self, store: StoreKey) -> Collection | None:
        """The collection of a store as it was saved; None where there is none that can be trusted."""
        path = self._path(store.store_id)
        if not path.exists():
            return None
        try:
            return Collection.of(
                archive.load(_pieces(path), self._bound(store).unseal), self._budget_bytes, self._place
            )
        except (archive.Refused, OSError) as error:
            log.warning("the snapshot of %s is not used, the store is read anew: %s", store.store_id, error)
            return None

    def stores(self) -> list[str]:
        """Stores that have a file here."""
        return sorted(_stores(self._folder))

    def forget(self, store_id: str, before: float) -> bool:
        """Remove a snapshot that was made before that, in Unix seconds; whether there was one."""
        path = self._path(store_id)
        if not path.exists() or path.stat().st_mtime >= before:
            return False
        path.unlink(missing_ok=True)
        return True

    def remove(self, store_id: str) -> None:
        """Remove the snapshot of a store, if there is one."""
        self._path(store_id).unlink(missing_ok=True)

    def _bound(self, store: StoreKey) -> "_Bound":
        return _Bound(store, self.shard)

    def _path(self, store_id: str) -> Path:
        if not NAME.match(store_id):
            raise NotFound("There is no such vector store.", param="vector_store_id")
        return self._folder / f"{store_id}{SUFFIX}"


class _Bound:
    """The seal of one store's pieces, as one shard holds them."""

    def __init__(self, store: StoreKey, shard: Shard) -> None:
        self._store = store
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
        return fields("manta snapshot", self._store.organization_id, self._store.store_id, *own) + place


def _stores(folder: Path) -> list[str]:
    names = (path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    return [name for name in names if NAME.match(name)]


def _remove_others(folder: Path, shard: Shard) -> None:
    """Snapshots that hold chunks of a shard that there is no more; another replica may be removing them too."""
    if shard.count > 1:
        for name in _stores(folder):
            (folder / f"{name}{SUFFIX}").unlink(missing_ok=True)
    for other in list(folder.iterdir()):
        match = FOLDER.match(other.name)
        if match is not None and int(match[1]) != shard.count:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(other)


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
