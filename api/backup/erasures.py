"""What was erased stays erased: called after every restore, before anybody can read the restored database.

`manta db restore --erasures FILE` adds the replay of a ledger (`api.privacy.erase`).
"""

from collections.abc import Callable

from api.backup.store import Store

Replay = Callable[[str, Store], None]
"""Given the URL of the restored database, as a role that may do everything, and the store it came from."""

REPLAYS: list[Replay] = []


def replay_erasures(url: str, store: Store) -> None:
    """Erase again what was erased after the backup was taken.

    Raises:
        MantaError: a replay fails; then the restore fails too.
    """
    for replay in REPLAYS:
        replay(url, store)
