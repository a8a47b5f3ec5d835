"""The bytes of files, sealed in parts in a folder or a bucket.

    blobs/<blob>/000000, 000001, …      each one value of `configs.seal`, bound to its blob, its number, and whether
                                        it is the last

A blob's name is when it was begun and random digits. Its address, an HMAC under its owner's key, says only to the owner
whether two contents are equal. Nothing is written in the clear, nor kept whole in memory. It does not know the rows
that name the blobs: whoever writes one adds its row, and bytes without a row are swept.
"""

import asyncio
import hashlib
import hmac
import logging
import math
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.storage.target import Target
from api.vault.keys import DataKey
from configs.errors import ConfigurationError, DamagedBackup, Unavailable, Unreadable
from configs.seal import fields, open_sealed, seal

log = logging.getLogger(__name__)

FOLDER = "blobs/"
PART_BYTES = 4 * 2**20
"""What is in memory of one upload or download, about three times."""
NAME = re.compile(r"[0-9a-f]{36}\Z")


@dataclass(frozen=True, slots=True)
class Written:
    """A whole blob: how many bytes its content has, and the address of the content among its owner's (32 bytes)."""

    size: int
    address: bytes


def new_blob_id(now: float) -> str:
    """A name for a new blob; `now` in Unix seconds."""
    return f"{int(now):012x}{secrets.token_hex(12)}"


def begun_at(blob_id: str) -> float:
    """When a blob was begun, in Unix seconds; never, for a name that is none of ours."""
    return float(int(blob_id[:12], 16)) if NAME.match(blob_id) else math.inf


class Blobs:
    """All blobs of an installation."""

    def __init__(self, target: Target, part_bytes: int = PART_BYTES) -> None:
        self._target = target
        self._part_bytes = part_bytes

    def begin(self, key: DataKey, blob_id: str) -> "Writing":
        """Write a new blob, with its owner's key."""
        return Writing(self._target, key, blob_id, self._part_bytes)

    async def read(self, key: DataKey, blob_id: str, size: int) -> AsyncIterator[bytes]:
        """The content of a blob of `size` bytes, part by part; each is proven to be its own before it is handed on.

        Raises:
            Unreadable: a part is missing, was changed or moved, or the key is another's.
            Unavailable: the place of the files cannot be reached.
        """
        last = max(0, -(-size // self._part_bytes) - 1)
        read = 0
        for number in range(last + 1):
            part = await asyncio.to_thread(self._opened, key, blob_id, number, last)
            read += len(part)
            if part:
                yield part
        if read != size:
            raise Unreadable("Stored content is not as long as it was.")

    async def remove(self, blob_id: str) -> None:
        """Remove a blob's bytes; doing it again changes nothing.

        Raises:
            Unavailable: the place of the files cannot be reached.
        """
        await asyncio.to_thread(_remove, self._target, blob_id)

    async def sweep(self, known: Callable[[list[str]], Awaitable[set[str]]], before: float) -> int:
        """Remove blobs that were begun before that (Unix seconds) and that nobody knows; how many they were.

        `known` is told names and says which of them have a row. `before` must lie further back than an upload may
        last (`api.files.upload.TOTAL_S`): one on its way has no row yet. Errors as `remove`.
        """
        old = sorted(name for name in await self.ids() if begun_at(name) < before)
        unknown = set(old) - await known(old) if old else set()
        for name in unknown:
            await self.remove(name)
        await asyncio.to_thread(self._tidy, before)
        return len(unknown)

    async def ids(self) -> set[str]:
        """Every blob of which there are bytes, also of uploads that were broken off. Errors as `remove`."""
        return await asyncio.to_thread(self._ids)

    def _tidy(self, before: float) -> None:
        with _translated():
            self._target.tidy(FOLDER, before)

    def _ids(self) -> set[str]:
        with _translated():
            return {name.removeprefix(FOLDER).partition("/")[0] for name in self._target.names(FOLDER)}

    def _opened(self, key: DataKey, blob_id: str, number: int, last: int) -> bytes:
        with _translated():
            sealed = self._target.get(_name(blob_id, number))
        return open_sealed(key.key, sealed, _place(blob_id, number, last=number == last))


class Writing:
    """One blob on its way in: `add` until the end, then `finish`; `abandon` leaves nothing behind."""

    def __init__(self, target: Target, key: DataKey, blob_id: str, part_bytes: int) -> None:
        self._target = target
        self._key = key
        self._blob_id = blob_id
        self._part_bytes = part_bytes
        self._pending = bytearray()
        self._number = self._size = 0
        self._running: asyncio.Future[None] | None = None
        self._address = hmac.new(_address_key(key), digestmod=hashlib.sha256)

    async def add(self, piece: bytes) -> None:
        """The next bytes; a part that is full goes out.

        Raises:
            Unavailable: the place of the files is full or cannot be reached.
        """
        self._pending += piece
        self._size += len(piece)
        while len(self._pending) > self._part_bytes:  # what is last is known only at the end: hold a full one back
            await self._put(self._part_bytes, last=False)

    async def finish(self) -> Written:
        """The last part is out, and the blob whole. Errors as `add`."""
        await self._put(self._part_bytes, last=True)
        return Written(self._size, self._address.digest())

    async def abandon(self) -> None:
        """Remove what was written. Errors as `Blobs.remove`."""
        if self._running is not None:  # a thread cannot be cancelled: what it writes must not come after this
            await asyncio.wait([self._running])
        await asyncio.to_thread(_remove, self._target, self._blob_id)

    async def _put(self, count: int, *, last: bool) -> None:
        content = bytes(self._pending[:count])
        del self._pending[:count]
        self._running = asyncio.ensure_future(asyncio.to_thread(self._write, content, last=last))
        await asyncio.shield(self._running)
        self._number += 1

    def _write(self, content: bytes, *, last: bool) -> None:
        self._address.update(content)
        sealed = seal(self._key.key, content, _place(self._blob_id, self._number, last=last))
        with _translated():
            self._target.put(_name(self._blob_id, self._number), sealed)


@contextmanager
def _translated() -> Iterator[None]:
    """What a target says names paths and buckets: it is for the operator's log, not for a client."""
    try:
        yield
    except DamagedBackup as error:
        raise Unreadable("A part of the stored content is missing.") from error
    except (ConfigurationError, Unavailable) as error:
        log.error("files cannot be kept or read: %s", error.message)  # noqa: TRY400  the message says it all
        raise Unavailable("The place of the files is full or cannot be reached.", retry_after_s=5.0) from error


def _remove(target: Target, blob_id: str) -> None:
    with _translated():
        for name in list(target.names(f"{FOLDER}{blob_id}/")):
            target.delete(name)


def _name(blob_id: str, number: int) -> str:
    return f"{FOLDER}{blob_id}/{number:06d}"


def _place(blob_id: str, number: int, *, last: bool) -> bytes:
    return fields("manta file", blob_id, str(number), "last" if last else "more")


def _address_key(key: DataKey) -> bytes:
    return hmac.digest(key.key, b"manta file address", hashlib.sha256)
