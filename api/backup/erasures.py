"""What was erased stays erased: backups carry the ledger of erasures, and a restore erases again.

    parts/<backup>/erasures/…     the ledger as it was when a backup was taken
    erasures/known                the ledger as it is now, kept up between backups and never cut

A ledger names ids alone. It is put together from the data directory's file and from the table of orders, so that it is
whole where only one of the two can be reached.
"""

from collections.abc import Iterable
from pathlib import Path

from api.backup.manifest import ERASURES, Manifest
from api.backup.progress import Say
from api.backup.store import Store
from api.privacy import ledger
from api.privacy.ledger import Entry
from configs.errors import BadRequest, ConfigurationError, DamagedBackup, NotFound

KNOWN = "erasures/known"


def remember(store: Store, entries: Iterable[Entry], say: Say) -> None:
    """Have the target know these erasures, beside those that it knows.

    Raises:
        MantaError: the target refuses.
    """
    try:
        known = _known(store)
    except ConfigurationError as error:
        say(f"the list of erasures in the target is written anew: {error.message}")
        known = []
    wanted = ledger.merged(known, entries)
    if len(wanted) > len(known):
        store.put(KNOWN, ledger.text(wanted))


def gathered(store: Store, backup: Manifest, given: Path | None, say: Say) -> list[Entry]:
    """Everybody who must not come back when `backup` is restored: as it, newer ones and `given` say.

    Raises:
        BadRequest: there is no file `given`.
        DamagedBackup: a part of this cannot be read, and no `given` stands in for it.
    """
    if given is not None and not given.is_file():
        raise BadRequest(f"there is no file {str(given)!r}: --erasures names the old installation's ledger")
    found = [_carried(store, backup)]
    for read in (_newest, _known):
        try:
            found.append(read(store))
        except ConfigurationError as error:
            if given is None:
                raise DamagedBackup(
                    "who was erased since this backup was taken cannot be read: name a copy of the old data "
                    f"directory's {ledger.NAME} with --erasures FILE ({error.message})"
                ) from error
            say(f"--erasures alone says who was erased lately: {error.message}")
    return ledger.merged(*found, ledger.entries(given) if given is not None else ())


def _carried(store: Store, backup: Manifest) -> list[Entry]:
    """As a backup itself has it; one of an older version has none."""
    if ERASURES not in backup.streams:
        return []
    return list(ledger.parsed(b"".join(store.fetch(backup, ERASURES))))


def _newest(store: Store) -> list[Entry]:
    try:
        return _carried(store, store.manifest(None))
    except NotFound:
        return []


def _known(store: Store) -> list[Entry]:
    return list(ledger.parsed(store.get(KNOWN))) if KNOWN in store.target.names(KNOWN) else []
