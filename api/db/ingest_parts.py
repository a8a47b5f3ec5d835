"""What is ready of a file, as `api.db.ingest` writes it."""

from collections.abc import Sequence
from dataclasses import dataclass

Sealed = tuple[int, bytes, bytes]
"""A chunk: its number in the file, content and vectors."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One try at one file."""

    store_id: str
    file_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a file ended; an `error_code` of OpenAI says that it failed. `notes` are sealed."""

    chunk_count: int = 0
    usage_bytes: int = 0
    error_code: str | None = None
    error_message: str | None = None
    notes: bytes | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What is ready of a file, in the order of its numbers, and its end where that is reached."""

    hold: Hold
    chunks: Sequence[Sealed] = ()
    outcome: Outcome | None = None

    @property
    def fails(self) -> bool:
        """Whether the file failed, so that nothing of it counts."""
        return self.outcome is not None and self.outcome.error_code is not None

    @property
    def begins(self) -> bool:
        """Whether a try writes this first: its chunk number 0, or its end where it has no chunks."""
        if self.chunks:
            return self.chunks[0][0] == 0
        return self.outcome is not None and self.outcome.chunk_count == 0

    def is_torn(self, there: int) -> bool:
        """Whether chunks before this part are missing, where `there` is the number behind the last that is written.

        Longer than the file's end is what another try left, whose place this one's first chunks never took.
        """
        if self.begins or self.fails:
            return False
        first, end = (self.chunks[0][0], self.chunks[-1][0] + 1) if self.chunks else (0, 0)
        return first > there or (self.outcome is not None and self.outcome.chunk_count != max(there, end))
