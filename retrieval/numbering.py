"""Numbers of files: small, and given to another where a file has gone. It knows no chunk."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from retrieval.filters import Mask

NAME_BYTES = 200
"""What a file's id and number take as Python keeps them."""


class Numbering:
    """Names by number and numbers by name; "" is nobody's name. Changes run alone."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._free: list[int] = []

    @classmethod
    def restored(cls, names: Sequence[str]) -> Self:
        """What `names` gave."""
        numbering = cls()
        numbering._names = list(names)
        numbering._numbers = {name: number for number, name in enumerate(names) if name}
        numbering._free = [number for number, name in enumerate(names) if not name]
        return numbering

    def __len__(self) -> int:
        return len(self._names)

    @property
    def memory_bytes(self) -> int:
        """What they take in memory, about."""
        return NAME_BYTES * len(self._numbers)

    def names(self, held: Mask) -> list[str]:
        """Names by number, of those in `held` [numbers] only."""
        return [name if kept else "" for name, kept in zip(self._names, held.tolist(), strict=True)]

    def number(self, name: str) -> int:
        """The name's number; a new name gets one."""
        if name not in self._numbers:
            if self._free:
                self._numbers[name] = number = self._free.pop()
                self._names[number] = name
            else:
                self._numbers[name] = len(self._names)
                self._names.append(name)
        return self._numbers[name]

    def release(self, held: Mask) -> list[int]:
        """Let go of names whose numbers are not in `held` [numbers]; those numbers."""
        gone = [number for number in np.flatnonzero(~held).tolist() if self._names[number]]
        for number in gone:
            del self._numbers[self._names[number]]
            self._names[number] = ""
        self._free += gone
        return gone
