"""The bytes of some files, for work in another process: it can be pickled, and opens these files only."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from api.files.blobs import Blobs
from api.storage.target import open_target
from api.vault.keys import DataKey
from configs.errors import Unreadable


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a file's bytes are, and what opens them."""

    key: DataKey
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """`place` as `open_target` takes it; files by id."""

    place: str
    files: Mapping[str, Stored]

    def read(self, file_id: str) -> bytes:
        """The whole content. Blocks.

        Raises:
            Unreadable: it is gone or was changed, or is none of these files.
            Unavailable: the place of the files cannot be reached.
        """
        stored = self.files.get(file_id)
        if stored is None:
            raise Unreadable("This is no file of the work.")
        return asyncio.run(self._read(stored))

    async def _read(self, stored: Stored) -> bytes:
        parts = Blobs(open_target(self.place)).read(stored.key, stored.blob, stored.size)
        return b"".join([part async for part in parts])
