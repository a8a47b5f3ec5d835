"""Write anchors as long as `control` runs: every minute for chains that grew, and once more when it stops."""

import asyncio
import logging
from pathlib import Path
from typing import Self

from api.audit import anchors
from api.db import audit as audit_queries
from api.db.session import JOBS_ROLE, Database
from configs import secretfiles
from configs.cluster import Cluster
from configs.errors import ConfigurationError, Unavailable

log = logging.getLogger(__name__)

PERIOD_S = 60.0
LAST_S = 5.0
"""How long the last anchors may take when the process stops."""
KEY_BYTES = 32


class Anchoring:
    """The ends of all chains, from the database to a file (and the system's log)."""

    def __init__(self, database: Database, path: Path, secrets: Path, syslog: str | None = None) -> None:
        self._database = database
        self._path = path
        self._secrets = secrets
        self._syslog = syslog
        self._written: dict[str, int] = {}

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """As this installation's configuration says."""
        spec = cluster.configuration.audit
        url = cluster.jobs_url or cluster.database_url
        database = Database(url.get_secret_value(), pool_size=1, application="manta anchors", role=JOBS_ROLE)
        path = Path(spec.anchor_file) if spec.anchor_file is not None else cluster.data_dir / anchors.FILE
        return cls(database, path, cluster.data_dir / "secrets", anchors.SYSLOG if spec.anchor_syslog else None)

    async def run(self, period_s: float = PERIOD_S) -> None:
        """Write for ever; what stands in the way is logged, and tried again."""
        while True:
            await asyncio.sleep(period_s)
            await self._try()

    async def close(self) -> None:
        """Write once more, and let the database go."""
        try:
            async with asyncio.timeout(LAST_S):
                await self._try()
        except TimeoutError:
            log.warning("the last anchors of the audit log were not written in time")
        await self._database.close()

    async def write(self) -> int:
        """Anchor what grew since the last time; how many chains.

        Raises:
            Unavailable: the database is away.
            ConfigurationError: the key is open to others.
            OSError: the file cannot be written.
        """
        async with self._database.unit() as unit:
            heads = await audit_queries.heads(unit)
        grown = [head for head in heads if self._written.get(head.organization_id) != head.seq]
        if grown:
            await asyncio.to_thread(self._keep, anchors.anchors_of(grown))
            self._written |= {head.organization_id: head.seq for head in grown}
        return len(grown)

    def _keep(self, grown: list[anchors.Anchor]) -> None:
        key = secretfiles.read_or_make(self._secrets, anchors.KEY, KEY_BYTES)
        anchors.append(self._path, grown, key)
        if self._syslog is not None:
            try:
                anchors.tell_syslog(grown, key, self._syslog)
            except OSError as error:
                log.error("the system's log does not take the audit log's anchors (%s)", error.strerror)  # noqa: TRY400

    async def _try(self) -> None:
        try:
            await self.write()
        except Unavailable:
            log.info("the database is away; the audit log is anchored when it is back")
        except ConfigurationError as error:
            log.error("the audit log is not anchored: %s", error.message)  # noqa: TRY400  the message says it all
        except OSError as error:
            log.error("the audit log is not anchored: %s: %s", self._path, error.strerror)  # noqa: TRY400
        except Exception:
            log.exception("the audit log is not anchored")
