"""The real ingress without Ray, in a process of its own: `python -m bench.mock_ingress CLUSTER_FILE ENGINE_PORT`.

Gate, keys, checks, directory, gateway, exchange, link and outbox are Manta's own on a real PostgreSQL. Only the lease
is not taken from Serve: there is one replica, `bench.mock_engine`, and it always has room.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import uvicorn
import uvloop

from api.app import create_app
from api.http import Connection
from api.ingress import build_services
from api.port import BACKLOG, bind
from configs.cluster import Cluster
from serving.gateway import Gateway
from serving.leases import Lease
from serving.link.client import Address


class FreeGateway(Gateway):
    """A gateway whose replica always has room."""

    def __init__(self, cluster: Cluster, address: Address) -> None:
        super().__init__(cluster)
        self._address = address

    async def _lease(self, model: str, deadline: float) -> Lease:
        link = await self.links.get(self._address)
        return FreeLease("", link, "mock", self._loop.time(), _nothing(), self)  # type: ignore[arg-type]


class FreeLease(Lease):
    """A lease that nobody counts."""

    def give_back(self) -> None:
        """Nothing to give."""


async def _nothing() -> AsyncIterator[str]:
    yield ""


async def main() -> None:
    """Serve until ended."""
    cluster = Cluster.read(Path(sys.argv[1]))
    services = await build_services(cluster)
    services = replace(services, gateway=FreeGateway(cluster, Address("127.0.0.1", int(sys.argv[2]))))
    config = uvicorn.Config(
        create_app(services),
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
    )
    listener = bind(cluster.configuration.general_settings, reuse_port=False)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    uvloop.run(main())
