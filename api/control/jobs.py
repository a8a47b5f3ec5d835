"""What `control` does for privacy, as the role of jobs: erasures when they are asked for, retention every hour."""

import logging
import time
from pathlib import Path

from api.db.session import JOBS_ROLE, Database
from api.files.blobs import Blobs
from api.files.place import file_target
from api.files.tidying import tidy
from api.knowledge import tidying as knowledge
from api.privacy import retention
from api.privacy.erase import erase_all
from configs.cluster import Cluster

log = logging.getLogger(__name__)

HOUR_S = 3600.0


class Jobs:
    """One pass at a time; whoever calls leads."""

    def __init__(self, cluster: Cluster) -> None:
        url = (cluster.jobs_url or cluster.database_url).get_secret_value()
        self._database = Database(url, pool_size=1, application="manta jobs", role=JOBS_ROLE, deadline_s=None)
        self._data_dir: Path = cluster.data_dir
        self._blobs = Blobs(file_target(cluster))
        self._retention = cluster.configuration.privacy.retention
        self._kept_at = -HOUR_S

    async def run(self) -> None:
        """Do what is due.

        Raises:
            Unavailable: the database is away; the next pass goes on.
        """
        done = await erase_all(self._database, self._data_dir, self._blobs)
        if done:
            log.info("%d erasures were carried out", done)
        if time.monotonic() - self._kept_at >= HOUR_S:
            removed = await retention.run(self._database, self._retention)
            removed["files"], removed["blobs"] = await tidy(self._database, self._blobs)
            removed["vector_stores"], removed["removals"] = await knowledge.tidy(self._database)
            self._kept_at = time.monotonic()
            log.info("retention removed %s", removed)

    async def close(self) -> None:
        """Close its connections."""
        await self._database.close()
