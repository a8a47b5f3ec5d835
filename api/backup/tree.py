"""Files of a data directory that no table holds: content-addressed, sent once, listed with every backup.

An object's name is an HMAC of the file's SHA-256 under a key of the master's, so that the target cannot tell which
known file it keeps. The listing itself is sealed. It does not know what the files are for.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import orjson
from pydantic import Field

from api.backup.manifest import FILES, Manifest, Record
from api.backup.progress import Say
from api.backup.sealed import derived
from api.backup.store import Store
from configs import files
from configs.errors import ConfigurationError, Conflict, DamagedBackup, NotFound
from configs.keyring import MasterKey

ROOTS = ("models", "files")
"""Folders of the data directory. What lies in the others is in the database, can be rebuilt, or is a secret."""

BLOBS = "blobs/"
READ_BYTES = 2**20
TRIES = 3


class FileEntry(Record):
    """One file, by its path below the data directory."""

    path: str
    size: int
    mtime_ns: int
    sha256: str
    blob: str


class LinkEntry(Record):
    """One symbolic link that stays inside its root."""

    path: str
    to: str


class Listing(Record):
    """All of them at one time."""

    files: tuple[FileEntry, ...] = ()
    links: tuple[LinkEntry, ...] = ()
    skipped: tuple[str, ...] = Field((), description="links that lead elsewhere, sockets, pipes")

    @property
    def blobs(self) -> set[str]:
        """The objects it needs."""
        return {entry.blob for entry in self.files}

    def text(self) -> bytes:
        """As it is kept."""
        return orjson.dumps(self.model_dump(mode="json"))

    def over(self, older: "Listing") -> "Listing":
        """Both, this one's where they differ."""
        own = {entry.path for entry in self.files} | {link.path for link in self.links}
        return Listing(
            files=(*self.files, *(entry for entry in older.files if entry.path not in own)),
            links=(*self.links, *(entry for entry in older.links if entry.path not in own)),
        )


def state(data_dir: Path) -> int:
    """A number that changes when files come, go or change."""
    facts = [(path, info.st_size, info.st_mtime_ns) for path, info in _walk(data_dir)]
    return hash(tuple(facts))


def collect(data_dir: Path, store: Store, before: Listing, say: Say) -> Listing:
    """Send what the target lacks; the listing of all. Files that are as `before` knew them are not read again.

    Raises:
        Conflict: a file changes faster than it can be read.
        MantaError: the target refuses.
    """
    known = {name.rpartition("/")[0] for name in store.target.names(BLOBS) if name.endswith(".end")}
    earlier = {(entry.path, entry.size, entry.mtime_ns): entry for entry in before.files}
    found: list[FileEntry] = []
    links: list[LinkEntry] = []
    skipped: list[str] = []
    sent = 0
    for path, info in _walk(data_dir):
        name = path.relative_to(data_dir).as_posix()
        if path.is_symlink():
            target = str(path.readlink())
            links.append(LinkEntry(path=name, to=target)) if _inside(name, target) else skipped.append(name)
        elif not path.is_file():
            skipped.append(name)
        else:
            entry = earlier.get((name, info.st_size, info.st_mtime_ns))
            if entry is None or entry.blob not in known:
                entry = _sent(store, path, name, known)
                sent += entry is not None
            if entry is not None:
                found.append(entry)
    say(f"files: {len(found)}, of which {sent} are new or changed")
    for name in skipped:
        say(f"left out, for it is no file of its own: {name}")
    return Listing(files=tuple(found), links=tuple(links), skipped=tuple(skipped))


def newest_listing(store: Store) -> Listing:
    """The files of the newest backup, or none; one that cannot be read is no obstacle to a new one."""
    try:
        return listing_of(store, store.manifest(None))
    except (NotFound, ConfigurationError):
        return Listing()


def listing_of(store: Store, backup: Manifest) -> Listing:
    """The files of a backup.

    Raises:
        DamagedBackup: the listing is not what was written.
    """
    return Listing.model_validate_json(b"".join(store.fetch(backup, FILES)))


def put_back(listing: Listing, store: Store, data_dir: Path) -> None:
    """Write the files of a listing below a data directory.

    Raises:
        DamagedBackup: one is missing or is not what was written.
        ConfigurationError: the disk is full.
    """
    with files.disk_faults(data_dir):
        for entry in listing.files:
            _write(store, entry, _place(data_dir, entry.path))
        for link in listing.links:
            if not _inside(link.path, link.to):
                raise _foreign(link.path)
            path = _place(data_dir, link.path)
            path.symlink_to(link.to)


def check(listing: Listing, store: Store) -> None:
    """Open every file of a listing.

    Raises:
        DamagedBackup: one is missing or is not what was written.
    """
    for entry in listing.files:
        _proven(store, entry, lambda _: None)


def _walk(data_dir: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for root in ROOTS:
        for folder, below, names in os.walk(data_dir / root):
            below.sort()
            linked = [name for name in below if (Path(folder) / name).is_symlink()]
            for name in sorted([*names, *linked]):
                path = Path(folder) / name
                try:
                    yield path, path.lstat()
                except FileNotFoundError:
                    continue  # gone since it was listed


def _sent(store: Store, path: Path, name: str, known: set[str]) -> FileEntry | None:
    """Hash a file and send it if it is not known; None when it is gone."""
    for _ in range(TRIES):
        try:
            info = path.stat()
            digest = _digest(path)
            blob = blob_name(store.keys.active, digest)
            if blob not in known and not _send(store, path, blob, digest):
                continue
        except FileNotFoundError:
            return None
        known.add(blob)
        return FileEntry(path=name, size=info.st_size, mtime_ns=info.st_mtime_ns, sha256=digest, blob=blob)
    raise Conflict(f"{name} changes while it is read: take the backup when nothing writes it")


def _send(store: Store, path: Path, blob: str, digest: str) -> bool:
    """Send a file; false (and nothing sent) when it is no longer what was hashed."""
    seen = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                seen.update(piece)
                yield piece
        if seen.hexdigest() != digest:
            raise _ChangedError

    try:
        store.send_blob(blob, pieces())
    except _ChangedError:
        return False
    return True


class _ChangedError(Exception):
    """A file changed between two readings."""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def blob_name(key: MasterKey, digest: str) -> str:
    """Where the content of that SHA-256 lies. Under a new master key everything is sent anew."""
    name = hmac.digest(derived(key, "blob"), bytes.fromhex(digest), "sha256").hex()
    return f"{BLOBS}{key.id}/{name}"


def _inside(name: str, target: str) -> bool:
    """Whether a link leads to its own root."""
    end = os.path.normpath(PurePosixPath(name).parent / target)
    return not target.startswith("/") and PurePosixPath(end).parts[0] == PurePosixPath(name).parts[0]


def _place(data_dir: Path, name: str) -> Path:
    if os.path.normpath(name) != name or PurePosixPath(name).parts[0] not in ROOTS:
        raise _foreign(name)
    path = data_dir / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _foreign(name: str) -> DamagedBackup:
    return DamagedBackup(f"the backup names {name!r}, which is no place for a file of a backup")


def _write(store: Store, entry: FileEntry, path: Path) -> None:
    with path.open("xb") as file:
        path.chmod(0o600)
        _proven(store, entry, file.write)
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def _proven(store: Store, entry: FileEntry, take: Callable[[bytes], object]) -> None:
    seen = hashlib.sha256()
    for piece in store.fetch_blob(entry.blob):
        seen.update(piece)
        take(piece)
    if seen.hexdigest() != entry.sha256:
        raise DamagedBackup(f"{entry.path} is not what was written: take another backup with --id")
