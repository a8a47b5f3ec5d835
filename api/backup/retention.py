"""What goes: backups above the number to keep, and everything that no backup needs any more.

The manifest goes first, so that a kill in the middle leaves no backup that lacks a part. Runs while no other backup of
the data directory is being taken; a target belongs to one installation.
"""

from api.backup import manifest as manifests
from api.backup.archive import Archive, archives
from api.backup.manifest import Manifest
from api.backup.progress import Say
from api.backup.store import Store
from api.backup.tree import BLOBS, listing_of
from configs.errors import ConfigurationError

PARTS = "parts/"


def prune(store: Store, keep: int, say: Say) -> None:
    """Keep the newest `keep` backups and what they need; when one of them cannot be read, everything stays.

    Raises:
        Unavailable: the target refuses.
    """
    known = store.ids()
    try:
        kept = [store.manifest(backup_id) for backup_id in known[-keep:]]
        needed = _blobs(store, kept)
    except ConfigurationError as error:
        say(f"nothing is removed: {error.message}")
        return
    for backup_id in known[:-keep]:
        store.target.delete(manifests.name_of(backup_id))
        say(f"removed backup {backup_id}")
    _drop_parts(store, kept)
    _drop_wal(store, kept)
    _drop_blobs(store, needed)


def _drop_parts(store: Store, kept: list[Manifest]) -> None:
    """Also those of backups that were broken off."""
    ids = {backup.id for backup in kept}
    for name in list(store.target.names(PARTS)):
        if name.split("/")[1] not in ids:
            store.target.delete(name)


def _drop_wal(store: Store, kept: list[Manifest]) -> None:
    """An archive is needed from the start of the oldest base that names it, and not at all when none does."""
    starts: dict[str, int] = {}
    for backup in kept:
        if backup.wal is not None and backup.wal.archive is not None:
            first = starts.get(backup.wal.archive, backup.wal.start)
            starts[backup.wal.archive] = min(first, backup.wal.start)
    if not starts:
        return
    for archive_id in archives(store):
        archive = Archive(store, archive_id)
        archive.forget_before(starts[archive_id]) if archive_id in starts else archive.forget()


def _blobs(store: Store, kept: list[Manifest]) -> set[str]:
    needed: set[str] = set()
    for backup in kept:
        needed |= listing_of(store, backup).blobs
    for archive_id in archives(store):
        needed |= Archive(store, archive_id).files().blobs
    return needed


def _drop_blobs(store: Store, needed: set[str]) -> None:
    for name in list(store.target.names(BLOBS)):
        if name.rpartition("/")[0] not in needed:
            store.target.delete(name)
