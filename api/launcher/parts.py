"""The phases of every part, as the launcher knows them: shown in the terminal, told on /readyz."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Part:
    """One part: `phase` is free text such as "starting", "load" or "ready"."""

    name: str
    phase: str = "waiting"
    since: float = field(default_factory=time.monotonic)
    took_s: float | None = None


class Parts:
    """All parts in the order they were named; `changed` is called on every change."""

    def __init__(self, changed: Callable[[Part], None]) -> None:
        self._parts: dict[str, Part] = {}
        self._changed = changed

    def set(self, name: str, phase: str) -> None:
        """A part entered a phase; "ready" stops its clock."""
        part = self._parts.setdefault(name, Part(name))
        if part.phase == phase:
            return
        if phase == "ready":
            part.took_s = time.monotonic() - part.since
        elif part.phase in ("ready", "waiting"):
            part.since, part.took_s = time.monotonic(), None
        part.phase = phase
        self._changed(part)

    def phase(self, name: str) -> str:
        """The phase of a part."""
        return self._parts[name].phase

    def all(self) -> list[Part]:
        """Every part."""
        return list(self._parts.values())

    def as_json(self) -> dict[str, Any]:
        """For /readyz."""
        return {part.name: part.phase for part in self._parts.values()}
