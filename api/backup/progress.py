"""Lines for people about what goes on, a few seconds apart."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Say = Callable[[str], None]
Piece = TypeVar("Piece", bytes, memoryview)
PERIOD_S = 2.0
MB = 1e6


def silent(_: str) -> None:
    """Say nothing."""


def told(pieces: Iterable[Piece], say: Say, what: str) -> Iterator[Piece]:
    """The same pieces; how much they were is said while they pass and at the end."""
    size, said = 0, time.monotonic()
    for piece in pieces:
        yield piece
        size += len(piece)
        if time.monotonic() - said > PERIOD_S:
            said = time.monotonic()
            say(f"{what}: {size / MB:,.0f} MB so far")
    say(f"{what}: {size / MB:,.1f} MB")
