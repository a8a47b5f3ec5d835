"""All stores of one folder by name, held by one process at a time. It knows no Ray and no thread pool."""

import logging
import re
import secrets
import shutil
import threading
from pathlib import Path
from typing import Self

from configs import datalock
from configs.errors import BadRequest, Conflict, MantaError, NotFound, Unavailable
from configs.files import disk_faults, sync_folder
from retrieval.index import faiss
from retrieval.index.protocol import Device, Kind, Shape
from retrieval.store import Lost, Store, StoreStats

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DRAFT = ".new-"


class Stores:
    """The open stores; made by `open`."""

    def __init__(self, folder: Path, device: Device, hold: datalock.Hold) -> None:
        self._folder = folder
        self._device: Device = device
        self._hold = hold
        self._making = threading.Lock()
        self._open: dict[str, Store] = {}
        self._lost: set[str] = set()

    @classmethod
    def open(cls, folder: Path, device: Device = "auto", wait_s: float = 0.0) -> Self:
        """All stores of a folder, waiting at most `wait_s` for a process that still holds it.

        A store that cannot be read is left out and refused by name; the others are served.

        Raises:
            ConfigurationError: another process holds the folder, the disk refuses, or `device` is missing.
        """
        with disk_faults(folder):
            faiss.choose_device(device, Kind.FLAT, faiss.gpus())
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stores = cls(folder, device, datalock.take(folder / "lock", command="search", port=None, wait_s=wait_s))
        try:
            with disk_faults(folder):
                stores._open_all()
        except BaseException:
            stores.close()
            raise
        return stores

    def create(self, name: str, shape: Shape) -> bool:
        """Make a store; false when it is there already with the same shape.

        Raises:
            BadRequest: the name is not one.
            Conflict: it is there with another shape.
            Unavailable: the disk is full or refuses.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadRequest("A store's name is 1 to 128 letters, digits, '.', '_' or '-'.", param="store")
        with self._making:
            if name in self._open or name in self._lost:
                if self[name].shape != shape:
                    raise Conflict(f"The store {name!r} exists with other dimensions, metric or kind.", param="store")
                return False
            self._make(name, shape)
            return True

    def __getitem__(self, name: str) -> Store:
        """The store of that name.

        Raises:
            NotFound: there is none.
            Unavailable: its files are damaged.
        """
        if name in self._lost:
            raise Unavailable(f"The files of the store {name!r} are damaged; it must be built anew.")
        try:
            return self._open[name]
        except KeyError:
            raise NotFound(f"There is no store {name!r}.", param="store") from None

    @property
    def broken(self) -> bool:
        """Whether a store's disk failed in the middle: this process must end."""
        return any(store.broken for store in self._open.values())

    def stats(self) -> dict[str, StoreStats | None]:
        """Each store's numbers; None for one that is damaged."""
        stats: dict[str, StoreStats | None] = dict.fromkeys(self._lost)
        return stats | {name: store.stats() for name, store in list(self._open.items())}

    def snapshot_all(self) -> None:
        """Write what changed, so that the next start is quick. A store that cannot be written keeps its log."""
        for name, store in list(self._open.items()):
            try:
                store.snapshot()
            except MantaError:
                log.exception("no snapshot of %s", name)

    def close(self) -> None:
        """Let go of everything."""
        for store in self._open.values():
            store.close()
        self._hold.release()

    def _open_all(self) -> None:
        for folder in sorted(path for path in self._folder.iterdir() if path.is_dir()):
            if folder.name.startswith(_DRAFT):
                shutil.rmtree(folder)
            elif NAME.fullmatch(folder.name):
                self._open_one(folder)

    def _open_one(self, folder: Path) -> None:
        try:
            self._open[folder.name] = Store.open(folder, self._device)
        except Lost:
            log.exception("the store %s cannot be read", folder.name)
            self._lost.add(folder.name)

    def _make(self, name: str, shape: Shape) -> None:
        draft = self._folder / f"{_DRAFT}{secrets.token_hex(4)}"
        try:
            draft.mkdir(mode=0o700)
            Store.create(draft, shape, self._device).close()
            draft.rename(self._folder / name)
            sync_folder(self._folder)
            self._open[name] = Store.open(self._folder / name, self._device)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            log.exception("no store %s", name)
            raise Unavailable("The search store could not be made: its disk is full or refuses.") from error
