"""What is backed up: a data directory and its database, the embedded one or one of the operator's."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from configs import files
from configs.datadir import Layout
from configs.errors import Conflict
from configs.postgres import EmbeddedPostgres

LOCK = "backup.lock"


@dataclass(frozen=True)
class Source:
    """A data directory; `url` names the operator's database, as a role that sees every row."""

    layout: Layout
    url: str | None = field(default=None, repr=False)

    @property
    def server(self) -> EmbeddedPostgres:
        """How the embedded server is reached."""
        return EmbeddedPostgres(self.layout)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One backup of a data directory at a time; the lock dies with its process.

        Raises:
            Conflict: another one is being taken.
        """
        path = self.layout.data_dir / LOCK
        with files.disk_faults(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"a backup of {self.layout.data_dir} is being taken already: wait for it") from None
            yield
        finally:
            os.close(fd)
