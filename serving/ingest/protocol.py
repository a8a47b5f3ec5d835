"""The words of ingest: what is to be done, what comes back, and who does it. All of it can be pickled."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from retrieval.documents import Limits

SealedChunk = tuple[int, bytes, bytes]
"""Its number in the file, content and vectors."""


@dataclass(frozen=True, slots=True)
class FileWork:
    """One file: where it goes, and how it is cut. `key` is that of the store's owner, `dimensions` its vectors'.

    `probe` is what the model made of one sentence when the store was made (`models.embedding.probe`).
    """

    store_id: str
    file_id: str
    organization_id: str
    filename: str
    max_tokens: int
    overlap_tokens: int
    dimensions: int
    key: bytes = field(repr=False)
    probe: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """Files for one embedding model; `model` is its `ModelSpec` as JSON."""

    model: str
    files: tuple[FileWork, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class End:
    """A file is done; with a `code` of OpenAI's `last_error` it failed, and nothing of it counts.

    `notes` are a sealed list of sentences on what of it was not read.
    """

    chunk_count: int = 0
    usage_bytes: int = 0
    code: str | None = None
    message: str | None = None
    notes: bytes | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What is ready of the file at this place of the group: its next chunks, in order, and its end where that came."""

    file: int
    chunks: tuple[SealedChunk, ...] = ()
    end: End | None = None


Batch = tuple[Piece, ...]
"""Pieces of different files, in the order of the group."""


class Source(Protocol):
    """Where the bytes of a group's files are."""

    def read(self, file_id: str) -> bytes:
        """The whole content.

        Raises:
            Unreadable: it is gone or was changed.
            Unavailable: it cannot be reached now.
        """


class Runner(Protocol):
    """Does groups of work somewhere else."""

    def run(self, group: Group, source: Source) -> AsyncGenerator[Batch, None]:
        """What becomes ready. Closing it before its end cancels the work. A file without an end waits.

        Raises:
            Unavailable: it cannot be done now, which is no fault of the files.
            ConfigurationError: the model cannot be loaded.
            Exception: the work broke off.
        """

    async def rest(self) -> None:
        """There is nothing to do: let go of what costs memory."""
