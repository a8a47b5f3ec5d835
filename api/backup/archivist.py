"""The process that takes backups while Manta runs; started by the launcher where `backup.to` is set.

python -m api.backup.archivist CLUSTER [--embedded]       # the cluster file (`configs.cluster`)

Of the embedded server it ships the log all the time and the files as they change; every `backup.every_s` it takes a
whole backup. What stands in the way is told (`api.backup.standing`) and tried again: nothing of Manta waits for it.
"""

import logging
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.backup import erasures, tree
from api.backup.archive import Archive
from api.backup.shipping import PERIOD_S as PERIOD_OF_LOG_S
from api.backup.shipping import Shipping
from api.backup.source import Source
from api.backup.standing import Standing
from api.backup.store import Store
from api.backup.take import take
from api.db import replicable
from api.privacy import ledger
from api.storage.target import open_target
from configs import telemetry
from configs.backup_specs import BackupSpec
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import ConfigurationError, Conflict, MantaError, NotFound

log = logging.getLogger("api.backup.archivist")  # also where this module is the program

EMBEDDED = "--embedded"
PERIOD_S = 30.0
"""Between two looks at the clock and at the files."""
SOON_S = 0.5
RETRY_S = 5.0
FAILED_S = 300.0
"""After a backup that failed."""


class Archivist:
    """One installation, one target."""

    def __init__(self, store: Store, source: Source, spec: BackupSpec, standing: Standing | None = None) -> None:
        self._store = store
        self._source = source
        self._spec = spec
        self._standing = standing or Standing(source.layout.data_dir)
        self._files = 0
        self._erasures = 0
        self._not_before = 0.0
        self.stop = threading.Event()
        self.archive: str | None = None
        """The archive that is written now."""

    def run(self) -> None:
        """Work until `stop` is set."""
        shipping = threading.Thread(target=self.ship, name="shipping")
        if self._source.url is None:
            shipping.start()
        while not self.stop.is_set():
            more = self._look_again()
            self.stop.wait(SOON_S if more or not self._begun else PERIOD_S)
        if shipping.ident is not None:
            shipping.join()

    def ship(self) -> None:
        """Ship the log, whatever happens."""
        shipping = Shipping(self._store, self._source.server, PERIOD_OF_LOG_S)
        while not self.stop.is_set():
            try:
                self.archive = shipping.prepare()
                shipping.run(self.archive, self.stop, lambda: self._standing.goes_on("log"))
            except MantaError as error:
                self._standing.hindered("log", self._why(error))
            except Exception as error:
                log.exception("the log is not shipped")
                self._standing.hindered("log", f"{type(error).__name__}; `manta logs --part archivist` tells more")
            self.stop.wait(RETRY_S)

    def _why(self, error: MantaError) -> str:
        """What the server itself has against being followed, where that is it."""
        try:
            return replicable.hindrance(self._source.server.root_url) or error.message
        except MantaError:
            return error.message

    def due(self, now: datetime) -> bool:
        """Whether a whole backup is to be taken: there is none yet, none for this archive, or none for too long.

        Raises:
            MantaError: the target is away.
        """
        if not self._begun:
            return False  # the first one must find its archive begun
        try:
            newest = self._store.manifest(None)
        except (NotFound, ConfigurationError):
            return True  # what cannot be read is no backup
        archive = newest.wal.archive if newest.wal else None
        return archive != self.archive or now - newest.finished_at >= timedelta(seconds=self._spec.every_s)

    @property
    def _begun(self) -> bool:
        """Whether there is an archive, where there is to be one."""
        return self._source.url is not None or self.archive is not None

    def _look_again(self) -> bool:
        """Do what is due; true when there may be more at once."""
        try:
            if time.monotonic() >= self._not_before and self.due(datetime.now(UTC)):
                take(self._store, self._source, keep=self._spec.keep, say=log.info)
                self._standing.goes_on("backup")
                return True
            self._send_erasures()
            self._send_files()
            if time.monotonic() >= self._not_before:
                self._standing.goes_on("backup")
        except Conflict as error:
            log.info("%s", error.message)
        except MantaError as error:
            self._failed(error.message)
        except Exception as error:
            log.exception("no backup")
            self._failed(f"{type(error).__name__}; `manta logs --part archivist` tells more")
        return False

    def _failed(self, why: str) -> None:
        self._standing.hindered("backup", why)
        self._not_before = time.monotonic() + FAILED_S

    def _send_erasures(self) -> None:
        """Whoever was erased since the last backup is not brought back by it either."""
        known = list(ledger.entries(self._source.layout.data_dir))
        if len(known) > self._erasures:
            erasures.remember(self._store, known, log.info)
            self._erasures = len(known)

    def _send_files(self) -> None:
        """New files join the archive, so that rows which the log brings back find theirs."""
        data_dir = self._source.layout.data_dir
        if self.archive is None or (now := tree.state(data_dir)) == self._files:
            return
        with self._source.alone():
            archive = Archive(self._store, self.archive)
            before = archive.files().over(tree.newest_listing(self._store))
            archive.put_files(tree.collect(data_dir, self._store, before, log.debug))
        self._files = now


def begun(cluster: Cluster, url: str | None, standing: Standing, stop: threading.Event) -> Archivist | None:
    """An archivist, as soon as its target and its keyring can be used; None when `stop` came first."""
    spec = cluster.configuration.backup
    assert spec.to is not None
    while not stop.is_set():
        try:
            store = Store(open_target(spec.to), cluster.masters())
            store.keys.look()
        except MantaError as error:
            standing.hindered("start", error.message)
            stop.wait(RETRY_S)
        else:
            standing.goes_on("start")
            return Archivist(store, Source(Layout(cluster.data_dir), url), spec, standing)
    return None


def main() -> None:
    """Run until SIGTERM."""
    cluster = Cluster.read(Path(sys.argv[1]))
    telemetry.begin(cluster.configuration.general_settings.log_level)
    url = None if EMBEDDED in sys.argv[2:] else cluster.database_url.get_secret_value()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    archivist = begun(cluster, url, Standing(cluster.data_dir), stop)
    if archivist is not None:
        archivist.stop = stop
        archivist.run()


if __name__ == "__main__":
    main()
