"""Keyrings: the master keys of the data, and the keys that sign tokens. Each is a file that only its owner can read.

The first key is the active one, used for what is new; the others open what is older. A running process looks at the
file again when it is asked for the active key or for one that it lacks, so that it learns of a rotation by itself.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from configs import files, keytext, secretfiles
from configs.errors import ConfigurationError
from configs.keycommand import KeyCommand
from configs.keytext import MasterKey

__all__ = ["Keyring", "MasterKey"]

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the text of a keyring comes from."""

    @property
    def place(self) -> str:
        """How messages name it."""

    @property
    def watched(self) -> bool:
        """Whether `stamp` and `text` are so cheap that every question may look."""

    def stamp(self) -> object:
        """Something that is another one after each change."""

    def text(self) -> str:
        """The text.

        Raises:
            ConfigurationError: it cannot be had.
        """


class Keyring:
    """Keys by id. Threads may share it; it never shows a key."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stamp: object = None
        self._keys: dict[str, MasterKey] = {}
        self._lock = threading.Lock()

    @classmethod
    def at(cls, path: Path) -> Self:
        """The keyring in a file, which is read at the first use and may not be there yet."""
        return cls(KeyFile(path))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keyring in a file, read now.

        Raises:
            ConfigurationError: the file is missing, empty, open to others or somebody else's, or a key in it is not
                32 random bytes under an id of its own.
        """
        ring = cls.at(path)
        ring.look()
        return ring

    @classmethod
    def make(cls, path: Path) -> Self:
        """The keyring in a file, which is made with one random key when it is not there. One of two makers wins.

        Raises:
            ConfigurationError: as for `read`, or it cannot be written.
        """
        ring = cls.at(path)
        ring.make_missing()
        ring.look()
        return ring

    @classmethod
    def of_command(cls, argv: Sequence[str]) -> Self:
        """The keyring that a program prints: any client of a key management service. It is run at the first use."""
        return cls(KeyCommand(tuple(argv)))

    @property
    def place(self) -> str:
        """Where it comes from, for messages."""
        return self._source.place

    @property
    def active(self) -> MasterKey:
        """The key for what is new, as the file now has it, or as the command printed it within a minute or two.

        Raises:
            ConfigurationError: it was never read, and cannot be.
        """
        self.look()
        return next(iter(self._keys.values()))

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, the active one first.

        Raises:
            ConfigurationError: it was never read, and cannot be.
        """
        self.look()
        return tuple(self._keys)

    def get(self, key_id: str) -> MasterKey:
        """The key of that id, as the file now has it; a command is run again (once a minute) when it is missing.

        Raises:
            ConfigurationError: there is no such key; the message names the id and the file.
        """
        if self._source.watched or key_id not in self._keys:
            self._read()
        found = self._keys.get(key_id)
        if found is None:
            msg = f"{self.place} has no key {key_id!r}: put its line back from your copy of the keyring"
            raise ConfigurationError(msg)
        return found

    def knows(self, key_id: str) -> bool:
        """Whether `get` answers at once, without running a command."""
        return self._source.watched or key_id in self._keys

    @property
    def is_file(self) -> bool:
        """Whether it can be changed here; what a command prints is changed where the command takes it from."""
        return isinstance(self._source, KeyFile)

    def make_missing(self) -> None:
        """Make the file with one random key when it is not there. One of two makers wins; a command makes nothing.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if isinstance(self._source, KeyFile):
            self._source.make(MasterKey.random().line)

    def rotated(self, fresh: MasterKey | None = None) -> Self:
        """Write a new active key (`fresh`, or a random one) in front of the others; the keyring as it then is.

        Raises:
            ConfigurationError: the keyring is no file, cannot be read or written, or has a key of that id.
        """
        fresh = fresh or MasterKey.random()
        with self._writing() as (source, text):
            if fresh.id in keytext.parse(text, self.place):
                msg = f"{self.place} has a key {fresh.id!r} already"
                raise ConfigurationError(msg)
            source.write(fresh.line + text)
        self.look()
        return self

    def without(self, key_id: str) -> Self:
        """Take a key out of the file; the keyring as it then is.

        Raises:
            ConfigurationError: it is the active key, there is none of that id, or the file cannot be written.
        """
        with self._writing() as (source, text):
            ids = list(keytext.parse(text, self.place))
            if key_id not in ids:
                msg = f"{self.place} has no key {key_id!r}; it has {', '.join(ids)}"
                raise ConfigurationError(msg)
            if key_id == ids[0]:
                msg = f"the key {key_id!r} is the active one of {self.place}: rotate first, then take it out"
                raise ConfigurationError(msg)
            source.write(keytext.without(text, key_id))
        self.look()
        return self

    def look(self) -> None:
        """Read when something changed. A command whose keys are known runs beside, and nobody waits for it.

        Raises:
            ConfigurationError: it was never read, and cannot be.
        """
        if self._source.watched or not self._keys:
            self._read()
        elif self._source.stamp() != self._stamp and not self._lock.locked():
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Read, unless nothing changed. What was read before stays good while there is nothing to read."""
        with self._lock:
            stamp = self._source.stamp()
            if self._keys and stamp == self._stamp:
                return
            try:
                self._keys = keytext.parse(self._source.text(), self.place)
            except ConfigurationError as error:
                if not self._keys:
                    raise
                log.warning("going on with the keys that are known: %s", error.message)
            self._stamp = stamp

    @contextmanager
    def _writing(self) -> Iterator[tuple["KeyFile", str]]:
        """The file and its text, with every other writer waiting."""
        if not isinstance(self._source, KeyFile):
            msg = f"the keys come from {self.place}: change them where it takes them from, the new one first"
            raise ConfigurationError(msg)
        with self._source.locked():
            yield self._source, self._source.text()

    def __repr__(self) -> str:
        return f"Keyring({self.place}, {list(self._keys)})"


class KeyFile:
    """The text of a keyring in a file, 0600 and ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """Its path."""
        return f"the keyring {str(self._path)!r}"

    @property
    def watched(self) -> bool:
        """An `lstat` is cheap."""
        return True

    def stamp(self) -> object:
        """Which file stands there, and when it was last written."""
        try:
            info = self._path.lstat()
        except OSError:
            return None
        return info.st_ino, info.st_mtime_ns, info.st_size

    def text(self) -> str:
        """Its text; whoever could read or change it must be us.

        Raises:
            ConfigurationError: it is missing, open to others, somebody else's, empty or no text.
        """
        if not os.path.lexists(self._path):
            msg = (
                f"{self.place} is missing: put it back from your copy of it; what it encrypted opens with nothing else"
            )
            raise ConfigurationError(msg)
        with files.disk_faults(self._path):
            return secretfiles.read(self._path)

    def make(self, text: str) -> None:
        """Write it, unless something is there.

        Raises:
            ConfigurationError: it cannot be written.
        """
        with files.disk_faults(self._path):
            if not os.path.lexists(self._path):
                secretfiles.write_once(self._path, text)

    def write(self, text: str) -> None:
        """Replace it whole.

        Raises:
            ConfigurationError: it cannot be written.
        """
        with files.disk_faults(self._path):
            files.write_whole(self._path, text)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among those who write keyrings into this folder."""
        with files.disk_faults(self._path.parent):
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
