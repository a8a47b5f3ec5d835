"""Which `control` may act: the one that holds a session-level advisory lock in PostgreSQL."""

from api.db.locks import SessionLock

KEY = 0x6D63746C
"""Key of the lock ("mctl" in ASCII)."""


class Leadership(SessionLock):
    """Held as long as this process's connection lives; a second `control` waits for it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, KEY)
