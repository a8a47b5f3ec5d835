"""Data keys that were unwrapped lately. Bounded in number and in age, so that a key that was destroyed is soon gone."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from api.vault.keys import DataKey, Owner

MAX_KEYS = 4096
FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, whose it is, and when it was read (monotonic)."""

    owner: Owner
    key: DataKey
    read_at: float


class Memory:
    """Keys by id and by owner, the longest unused one going first. For one event loop."""

    def __init__(self, max_keys: int = MAX_KEYS, fresh_s: float = FRESH_S) -> None:
        self._max_keys = max_keys
        self._fresh_s = fresh_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._ids: dict[Owner, str] = {}
        self.changes = 0
        """Grows with each `forget`: what was read before one must not be kept after it."""

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Memory({len(self)} keys)"

    def of(self, owner: Owner) -> DataKey | None:
        """An owner's key, if it was read lately."""
        key_id = self._ids.get(owner)
        return self.get(key_id) if key_id is not None else None

    def get(self, key_id: str) -> DataKey | None:
        """The key of that id, if it was read lately."""
        entry = self._entries.get(key_id)
        if entry is None:
            return None
        if time.monotonic() - entry.read_at > self._fresh_s:
            self._drop(key_id)
            return None
        self._entries.move_to_end(key_id)
        return entry.key

    def keep(self, owner: Owner, key: DataKey, read_at: float, changes: int) -> None:
        """Remember a key that was read at `read_at`, when `changes` stood at that."""
        if changes != self.changes:
            return
        self.drop_owner(owner)
        self._entries[key.id] = Entry(owner, key, read_at)
        self._ids[owner] = key.id
        if len(self._entries) > self._max_keys:
            self._drop(next(iter(self._entries)))

    def forget(self, owner: Owner | None = None) -> None:
        """Forget an owner's key, or all."""
        self.changes += 1
        if owner is not None:
            self.drop_owner(owner)
            return
        self._entries.clear()
        self._ids.clear()

    def drop_owner(self, owner: Owner) -> None:
        """Take an owner's key out."""
        key_id = self._ids.get(owner)
        if key_id is not None:
            self._drop(key_id)

    def _drop(self, key_id: str) -> None:
        entry = self._entries.pop(key_id)
        del self._ids[entry.owner]
