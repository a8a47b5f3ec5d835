"""The contract of a parser: a file in `retrieval/parsers/` has a `create` that returns a `Format`."""

from collections.abc import Callable
from dataclasses import dataclass

from retrieval.documents import Document, Limits, invalid


class Budget:
    """What a file may still unpack, with everything that is packed in it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._members = self._bytes = 0

    def take(self, members: int, unpacked_bytes: int) -> None:
        """Spend some.

        Raises:
            Unreadable: that is more than there is left.
        """
        self._members += members
        self._bytes += unpacked_bytes
        if self._members > self._limits.members:
            raise invalid(f"The archive has more than {self._limits.members} members. Split it.")
        if self._bytes > self._limits.unpacked_bytes:
            raise invalid(f"The archive unpacks to more than {self._limits.unpacked_bytes} bytes. Split it.")


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. `inner` reads a file that is packed in this one, and counts how deep that is."""

    data: bytes
    filename: str
    limits: Limits
    budget: Budget
    inner: Callable[[bytes, str], Document]


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its lower-case suffixes, and by its content where that can be told.

    `certain` says that content which is recognised wins over any suffix; else it only helps where the suffix tells
    nothing, as does what `resembles` finds. `parse` raises `Unreadable`, or whatever its library raises for a broken
    file. `ready` says whether a format that is optional is set up; where it is, it goes before those that recognise
    the same.
    """

    suffixes: frozenset[str]
    parse: Callable[[Source], Document]
    recognises: Callable[[bytes], bool] | None = None
    certain: bool = False
    resembles: Callable[[bytes], bool] | None = None
    ready: Callable[[Limits], bool] | None = None
