"""An index with its files: what was acknowledged is still there after kill -9.

A change is checked, logged, applied, in this order. A snapshot makes the log before it superfluous; two generations are
kept, so that a broken newest snapshot costs time and no data. It does not know who calls.
"""

import logging
import shutil
from pathlib import Path
from typing import Any, Self

from configs.errors import Internal
from retrieval.index import changes, checks, snapshot
from retrieval.index.changes import Change, ChangeLog
from retrieval.index.faiss import index_class
from retrieval.index.protocol import Found, Shape, VectorIndex
from retrieval.index.snapshot import Snapshot, SnapshotBroken

log = logging.getLogger(__name__)

GENERATIONS = 2
LOG_BYTES = 64 * 2**20
"""A log longer than this makes the next change take a snapshot: replaying it takes about a second."""


class Store:
    """One named collection of vectors. Blocking; one thread at a time."""

    def __init__(self, folder: Path, index: VectorIndex, seq: int) -> None:
        self._folder = folder
        self._index = index
        logs = changes.logs_in(folder)
        self._log = ChangeLog(logs[-1]) if logs else ChangeLog.after(folder, seq)
        self.seq = seq

    @classmethod
    def create(cls, folder: Path, shape: Shape, device: str = "auto") -> Self:
        """An empty store in a folder that is not there yet.

        Raises:
            FileExistsError: it is there.
        """
        if folder.exists():
            raise FileExistsError(folder)
        draft = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        index = index_class(device)(shape)
        snapshot.write(draft, Snapshot(shape, 0, index.dump()))
        draft.rename(folder)
        return cls(folder, index, 0)

    @classmethod
    def open(cls, folder: Path, device: str = "auto") -> Self:
        """The store of a folder, as it was after its last acknowledged change.

        Raises:
            Internal: no snapshot of it can be read.
        """
        start = _newest(folder)
        index = index_class(device).restore(start.shape, start.content)
        seq = start.seq
        for path in changes.logs_in(folder):
            for change in changes.read(path, start.shape.dimensions):
                if change.seq == seq + 1:
                    _apply(index, change)
                    seq = change.seq
        return cls(folder, index, seq)

    @property
    def shape(self) -> Shape:
        """What its vectors share."""
        return self._index.shape

    @property
    def size(self) -> int:
        """How many vectors it holds."""
        return self._index.size

    def add(self, ids: Any, vectors: Any) -> int:
        """Put vectors under ids; returns the number of the change.

        Raises:
            BadRequest: see `retrieval.index.checks`.
        """
        checked = checks.vectors_of(vectors, self.shape)
        return self._change(Change(self.seq + 1, checks.ids_of(ids, len(checked)), checked))

    def delete(self, ids: Any) -> int:
        """Take ids out; returns the number of the change.

        Raises:
            BadRequest: see `retrieval.index.checks`.
        """
        return self._change(Change(self.seq + 1, checks.ids_of(ids), None))

    def search(self, queries: Any, k: int) -> Found:
        """The k nearest of each query.

        Raises:
            BadRequest: see `retrieval.index.checks`.
        """
        return self._index.search(checks.vectors_of(queries, self.shape), checks.k_of(k))

    def snapshot(self) -> int:
        """Write a new generation and forget the oldest; the number of the change it stands at."""
        if not snapshot.path_of(self._folder, self.seq).exists():
            snapshot.write(self._folder, Snapshot(self.shape, self.seq, self._index.dump()))
            self._log.close()
            self._log = ChangeLog.after(self._folder, self.seq)
            self._forget()
        return self.seq

    def close(self) -> None:
        """Close its files."""
        self._log.close()

    def destroy(self) -> None:
        """Remove its files; the store is gone."""
        self._log.close()
        gone = self._folder.with_name(f".{self._folder.name}.gone")
        self._folder.rename(gone)
        shutil.rmtree(gone)

    def _change(self, change: Change) -> int:
        self._log.append(change)
        _apply(self._index, change)
        self.seq = change.seq
        if self._log.size > LOG_BYTES:
            self.snapshot()
        return self.seq

    def _forget(self) -> None:
        generations = snapshot.all_in(self._folder)
        for path in generations[GENERATIONS:]:
            path.unlink()
        oldest = int(generations[:GENERATIONS][-1].name.removeprefix(snapshot.PREFIX))
        for path in changes.logs_in(self._folder):
            if changes.first_seq(path) < oldest:
                path.unlink()


def _newest(folder: Path) -> Snapshot:
    for path in snapshot.all_in(folder):
        try:
            return snapshot.read(path)
        except SnapshotBroken as error:
            log.warning("a snapshot of %s is not used: %s", folder.name, error.message)
    raise Internal(f"No snapshot of the store {folder.name!r} can be read.")


def _apply(index: VectorIndex, change: Change) -> None:
    if change.vectors is None:
        index.delete(change.ids)
    else:
        index.add(change.ids, change.vectors)
