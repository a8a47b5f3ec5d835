"""One index that outlives its process: snapshots, and a log of the changes after each.

Files of a folder: `N.snapshot` is the index at the start of generation N, `N.changes` what was changed since. The
newest good snapshot and all logs from there on are the store, so a snapshot that is refused costs time and no change.
The two newest snapshots are kept. One process may open a folder (`retrieval.stores` holds the lock): another would not
see what this one changes. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt

from configs.errors import BadRequest, Unavailable
from configs.files import sync_folder
from retrieval.changes import Change, ChangeLog, Damaged, replay
from retrieval.index import checks, faiss, snapshot
from retrieval.index.protocol import Device, Ids, Index, Kind, Shape, Vectors
from retrieval.sharing import SharedLock

log = logging.getLogger(__name__)

LOG_BYTES = 64 * 2**20
"""A log that is longer than this and than the snapshot before it is ended by a new snapshot."""
GRAPH_LOG_BYTES = 8 * 2**20
"""The same for a graph, and an eighth of its snapshot: to enter a vector takes it some 0.5 ms, at replay too."""
CHANGE_BYTES = 256 * 2**20
NEIGHBOURS = 2**22
KEPT = 2
SNAPSHOT = "snapshot"
CHANGES = "changes"
REFUSED = "refused"


class Lost(Exception):
    """No snapshot of the folder is good, or a log is damaged; the text says which, for the log."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What one store holds and keeps."""

    dimensions: int
    metric: str
    kind: str
    device: str
    size: int
    generation: int
    log_bytes: int
    snapshot_bytes: int


class Store:
    """An open store; made by `create` or `open`."""

    def __init__(self, folder: Path, index: Index, generation: int, changes: ChangeLog, earlier_bytes: int = 0) -> None:
        self._folder = folder
        self._earlier_bytes = earlier_bytes
        self._index = index
        self._generation = generation
        self._changes = changes
        self._snapshot_bytes = _newest_bytes(folder)
        self._writing = threading.Lock()
        self._reading = SharedLock()

    @classmethod
    def create(cls, folder: Path, shape: Shape, device: Device = "auto") -> Self:
        """A new store in an empty folder.

        Raises:
            OSError: the disk is full or refuses.
            ConfigurationError: a GPU is asked for and there is none.
        """
        index = faiss.create(shape, device)
        snapshot.save(_path(folder, 1, SNAPSHOT), index)
        return cls(folder, index, 1, ChangeLog(_path(folder, 1, CHANGES)))

    @classmethod
    def open(cls, folder: Path, device: Device = "auto") -> Self:
        """The store as it was when its last change was acknowledged.

        Raises:
            Lost: no snapshot is good, or a log is damaged.
            OSError: the disk refuses.
        """
        index, start = _newest_good(folder, device)
        generation = max(start, *_generations(folder, CHANGES), *_generations(folder, REFUSED))
        logs = [_path(folder, each, CHANGES) for each in range(start, generation + 1)]
        earlier_bytes = _apply_all([path for path in logs if _bytes(path)], index)
        changes = ChangeLog(logs[-1])
        return cls(folder, index, generation, changes, earlier_bytes - changes.size)

    @property
    def shape(self) -> Shape:
        """Dimensions, metric and kind."""
        return self._index.shape

    @property
    def broken(self) -> bool:
        """Whether nobody knows what the disk holds: the process must end and read it again."""
        return self._changes.broken

    def add(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> int:
        """Enter vectors by id, replacing those of known ids; returns how many, when they are on the disk.

        Raises:
            BadRequest: see `checks`, or the numbers differ, or it is too much at once.
            Unavailable: the disk is full or refuses; nothing was changed.
        """
        change = Change(checks.ids(ids), checks.vectors(vectors, self.shape))
        assert change.vectors is not None
        if len(change.ids) != len(change.vectors):
            raise BadRequest("'ids' and 'vectors' differ in number.", param="ids")
        if change.vectors.nbytes > CHANGE_BYTES:
            raise BadRequest(f"More than {CHANGE_BYTES} bytes of vectors at once.", param="vectors")
        self._change(change)
        return len(change.ids)

    def delete(self, ids: npt.ArrayLike) -> int:
        """Remove ids; returns how many there were, when that is on the disk.

        Raises:
            BadRequest: see `checks`.
            Unavailable: the disk is full or refuses; nothing was changed.
        """
        change = Change(checks.ids(ids))
        if len(change.ids) * 8 > CHANGE_BYTES:
            raise BadRequest(f"More than {CHANGE_BYTES} bytes of ids at once.", param="ids")
        return self._change(change)

    def search(self, queries: npt.ArrayLike, k: int) -> tuple[Ids, Vectors]:
        """See `Index.search`.

        Raises:
            BadRequest: see `checks`.
        """
        wanted, count = checks.vectors(queries, self.shape, "queries"), checks.k(k)
        if len(wanted) * count > NEIGHBOURS:
            raise BadRequest(f"More than {NEIGHBOURS} neighbours at once.", param="queries")
        with self._reading.shared():
            return self._index.search(wanted, count)

    @property
    def wants_snapshot(self) -> bool:
        """Whether the log has grown long."""
        if self.shape.kind is Kind.HNSW:
            return self._log_bytes > max(GRAPH_LOG_BYTES, self._snapshot_bytes // 8)
        return self._log_bytes > max(LOG_BYTES, self._snapshot_bytes)

    def snapshot(self) -> bool:
        """Write the index as a whole and begin a new log; false when nothing changed. Searches go on meanwhile.

        Raises:
            Unavailable: the disk is full or refuses; the store is what it was.
        """
        with self._writing:
            if not self._log_bytes:
                return False
            _on_disk(self._folder, self._next_generation)
            return True

    def stats(self) -> StoreStats:
        """What it holds and keeps."""
        shape, index = self.shape, self._index
        words = shape.dimensions, shape.metric.value, shape.kind.value, index.device
        return StoreStats(*words, index.size, self._generation, self._log_bytes, self._snapshot_bytes)

    def close(self) -> None:
        """Let go of the files; all that was acknowledged is on the disk already."""
        with self._writing:
            self._changes.close()

    def _change(self, change: Change) -> int:
        if not len(change.ids):
            return 0
        with self._writing:
            if self.broken:
                raise Unavailable("The search store's disk failed; it is being read again.")
            _on_disk(self._folder, lambda: self._changes.append(change))
            with self._reading.alone():
                return _enter(self._index, change)

    @property
    def _log_bytes(self) -> int:
        return self._earlier_bytes + self._changes.size

    def _next_generation(self) -> None:
        following = self._generation + 1
        path = _path(self._folder, following, SNAPSHOT)
        fresh = ChangeLog(_path(self._folder, following, CHANGES))
        try:
            self._snapshot_bytes = snapshot.save(path, self._index)
        except OSError:
            fresh.close()
            self._changes.broken = path.exists()  # the next start may take it, and miss what the old log would get
            raise
        self._changes.close()
        self._changes, self._generation, self._earlier_bytes = fresh, following, 0
        _prune(self._folder)


def _enter(index: Index, change: Change) -> int:
    if change.vectors is None:
        return index.delete(change.ids)
    index.add(change.ids, change.vectors)
    return len(change.ids)


def _apply(path: Path, index: Index) -> int:
    """Replay a log into the index; where its last good record ends."""
    end = 0
    try:
        for change, place in replay(path):
            if change.vectors is not None and change.vectors.shape[1] != index.shape.dimensions:
                raise Lost(f"{path.name} is of another index")
            _enter(index, change)
            end = place
    except Damaged as error:
        raise Lost(str(error)) from error
    return end


def _apply_all(logs: list[Path], index: Index) -> int:
    """Replay logs that are not empty; only the last of them can have a torn tail. Their bytes."""
    total = 0
    for path in logs:
        end = _apply(path, index)
        if torn := _bytes(path) - end:
            if path != logs[-1]:
                raise Lost(f"{path.name} has a damaged end")
            log.warning("%s: a torn tail of %d bytes is dropped", path, torn)
            _cut(path, end)
        total += end
    return total


def _cut(path: Path, size: int) -> None:
    changes = ChangeLog(path)
    try:
        changes.cut(size)
    finally:
        changes.close()


def _newest_good(folder: Path, device: Device) -> tuple[Index, int]:
    """A snapshot that is refused is renamed, so that it is not counted as a generation to keep."""
    for generation in sorted(_generations(folder, SNAPSHOT), reverse=True):
        path = _path(folder, generation, SNAPSHOT)
        try:
            return snapshot.load(path, device), generation
        except snapshot.Refused as error:
            log.error("%s: %s; the generation before it is used", folder.name, error)  # noqa: TRY400  no traceback needed
            path.rename(_path(folder, generation, REFUSED))
            sync_folder(folder)
    raise Lost(f"{folder.name} has no good snapshot")


def _prune(folder: Path) -> None:
    """Keep the newest snapshots and the logs from the older of them on."""
    oldest = sorted(_generations(folder, SNAPSHOT))[-KEPT:][0]
    for kind in (SNAPSHOT, CHANGES, REFUSED):
        for generation in _generations(folder, kind):
            if generation < oldest:
                _path(folder, generation, kind).unlink()
    sync_folder(folder)


def _path(folder: Path, generation: int, kind: str) -> Path:
    return folder / f"{generation:08d}.{kind}"


def _generations(folder: Path, kind: str) -> list[int]:
    return [int(path.stem) for path in folder.glob(f"*.{kind}") if path.stem.isdigit()]


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _newest_bytes(folder: Path) -> int:
    return _path(folder, max(_generations(folder, SNAPSHOT)), SNAPSHOT).stat().st_size


def _on_disk(folder: Path, work: Callable[[], Any]) -> None:
    try:
        work()
    except OSError as error:
        log.error("%s: %s", folder.name, error)  # noqa: TRY400  no traceback needed
        raise Unavailable("The search store could not be written: its disk is full or refuses.") from error
