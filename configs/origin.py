"""Where a value came from."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["flag", "environment", "dotenv", "file", "default"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The level and the place, for example `configs/manta.yaml:12`, `environment MANTA_CONFIG` or `flag --port`."""

    kind: Level
    place: str


DEFAULT = Origin("default", "default")


@dataclass(frozen=True, slots=True)
class Spot:
    """An origin with the exact position that an error message names; `line` and `column` count from 1, 0 is none."""

    origin: Origin
    line: int = 0
    column: int = 0

    @property
    def where(self) -> str:
        """`file:line:column`, or the origin's place where there is no column."""
        return f"{self.origin.place}:{self.column}" if self.column else self.origin.place
