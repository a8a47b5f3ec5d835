"""Sealed streams in a target, cut into parts, and the manifests that hold them together.

    manifests/<backup>.json      parts/<backup>/<stream>/000000
    blobs/<master key>/<digest>/000000, …, 000007.end      wal/<archive>/<segment>

While one part is written the next is sealed. It does not know what the streams are.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from api.backup import manifest as manifests
from api.backup.manifest import Manifest, Part
from api.backup.sealed import Bytes, opened, sealed
from api.storage.target import Target
from configs.errors import DamagedBackup, NotFound
from configs.keyring import Keyring

PART_BYTES = 16 * 2**20
AHEAD = 2
"""Parts that are written, or fetched, beside the one that is worked on."""


class Store:
    """One target, under one keyring."""

    def __init__(self, target: Target, keys: Keyring, part_bytes: int = PART_BYTES) -> None:
        self.target = target
        self.keys = keys
        self._part_bytes = part_bytes

    def send(self, backup_id: str, stream: str, source: Iterable[Bytes]) -> tuple[Part, ...]:
        """Seal and write a stream of a backup; its parts, for the manifest.

        Raises:
            MantaError: the target refuses.
        """
        folder = f"parts/{backup_id}/{stream}"
        pieces = sealed(source, self.keys.active, f"{backup_id}/{stream}")
        parts: list[Part] = []
        with _Writing(self.target) as writing:
            for number, content in enumerate(_cut(pieces, self._part_bytes)):
                name = f"{folder}/{number:06d}"
                writing.put(name, content)
                parts.append(Part(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
        return tuple(parts)

    def fetch(self, backup: Manifest, stream: str) -> Iterator[bytes]:
        """A stream of a backup, checked and opened.

        Raises:
            DamagedBackup: a part is missing or is not what was written.
            ConfigurationError: the keyring lacks its master key.
        """
        parts = backup.streams[stream]
        contents = zip(parts, self._read_ahead([part.name for part in parts]), strict=True)
        return opened((_checked(part, content) for part, content in contents), self.keys, f"{backup.id}/{stream}")

    def send_blob(self, name: str, source: Iterable[Bytes]) -> None:
        """Seal and write an object of any size that several backups share. It is there when its last part is.

        Raises:
            MantaError: the target refuses.
        """
        number, before = 0, b""
        with _Writing(self.target) as writing:
            for content in _cut(sealed(source, self.keys.active, name), self._part_bytes):
                if before:
                    writing.put(f"{name}/{number:06d}", before)
                    number += 1
                before = content
            writing.settle()
            writing.put(f"{name}/{number:06d}.end", before)

    def fetch_blob(self, name: str) -> Iterator[bytes]:
        """A shared object.

        Raises:
            DamagedBackup: it is missing, or not what was written.
            ConfigurationError: the keyring lacks its master key.
        """
        names = list(self.target.names(f"{name}/"))
        if not names or not names[-1].endswith(".end"):
            raise DamagedBackup(f"{self.target.place} lacks {name}: take another backup with --id")
        return opened(self._read_ahead(names), self.keys, name)

    def put(self, name: str, content: bytes) -> None:
        """Seal and write a small object."""
        self.target.put(name, b"".join(sealed([content], self.keys.active, name)))

    def get(self, name: str) -> bytes:
        """Read and open a small object.

        Raises:
            DamagedBackup: it is missing, or not what was written.
            ConfigurationError: the keyring lacks its master key.
        """
        return b"".join(opened([self.target.get(name)], self.keys, name))

    def finish(self, backup: Manifest) -> None:
        """Write the manifest: from now on the backup exists."""
        self.target.put(manifests.name_of(backup.id), backup.sealed_text(self.keys.get(backup.key)))

    def ids(self) -> list[str]:
        """The backups that exist, oldest first."""
        return manifests.ids(self.target.names(manifests.FOLDER))

    def manifest(self, backup_id: str | None) -> Manifest:
        """One backup, or the newest.

        Raises:
            NotFound: there is no such backup.
            DamagedBackup: its manifest is not what was written.
            ConfigurationError: the keyring lacks its master key.
        """
        known = self.ids()
        if not known:
            raise NotFound(f"there is no backup in {self.target.place}: `manta db backup --to` takes one")
        if backup_id is not None and backup_id not in known:
            raise NotFound(f"there is no backup {backup_id!r} in {self.target.place}; the newest is {known[-1]}")
        name = manifests.name_of(backup_id or known[-1])
        return Manifest.checked(self.target.get(name), self.keys, f"{self.target.place}/{name}")

    def all(self) -> list[Manifest]:
        """Every backup, oldest first.

        Raises:
            MantaError: see `manifest`.
        """
        return [self.manifest(backup_id) for backup_id in self.ids()]

    def check(self, part: Part) -> None:
        """Compare an object with its hash.

        Raises:
            DamagedBackup: it is missing or another one.
        """
        _checked(part, self.target.get(part.name))

    def _read_ahead(self, names: list[str]) -> Iterator[bytes]:
        pool = ThreadPoolExecutor(AHEAD, "fetch")
        waiting: deque[Future[bytes]] = deque()
        try:
            for name in names:
                waiting.append(pool.submit(self.target.get, name))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


class _Writing:
    """Objects written beside the caller, a few at a time; the first failure is raised at the next call."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pool = ThreadPoolExecutor(AHEAD, "send")
        self._waiting: deque[Future[None]] = deque()

    def put(self, name: str, content: bytes) -> None:
        """Hand one over."""
        while len(self._waiting) >= AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._target.put, name, content))

    def settle(self) -> None:
        """Wait until all are written."""
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.settle()
        finally:
            self._pool.shutdown(cancel_futures=True)


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of about `size` (one more piece at most)."""
    pending: list[bytes] = []
    length = 0
    for piece in pieces:
        pending.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(pending)
            pending, length = [], 0
    if pending:
        yield b"".join(pending)


def _checked(part: Part, content: bytes) -> bytes:
    if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
        raise DamagedBackup(f"{part.name} is not what was written (its SHA-256 differs): take another backup with --id")
    return content


def ahead(pieces: Iterable[bytes], count: int = 4) -> Iterator[bytes]:
    """The same pieces, which another thread has opened already while the one before is used."""
    source = iter(pieces)
    with ThreadPoolExecutor(1, "open") as pool:
        waiting = deque(pool.submit(next, source, None) for _ in range(count))
        try:
            while (piece := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, source, None))
                yield piece
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
