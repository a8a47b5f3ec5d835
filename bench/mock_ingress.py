"""The real ingress without Ray, in its own process: `python -m bench.mock_ingress CLUSTER_FILE ENGINE_PORT [open]`.

Gate, keys, checks, directory, gateway, exchange, link and outbox are Manta's own on a real PostgreSQL. Only the lease
is not taken from Serve: there is one replica, `bench.mock_engine`, and it always has room. With `open` nobody is asked
for a key, no policy decides and no usage row is kept: what those cost is the difference.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from api.app import create_app
from api.doorkeeper import Doorkeeper, Watch
from api.http import Connection
from api.identity.tokens import AccessTokens
from api.ingress import REFRESH_S, build_services
from api.outbox import Outbox
from api.port import BACKLOG, bind
from api.principal import EVERYTHING, Permission, Principal
from api.services import Services
from configs.cluster import Cluster
from configs.errors import Forbidden, Unauthorized
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


class OpenDoor(Doorkeeper):
    """Admits everybody, unasked, and watches nobody."""

    async def admit(self, scope: MutableMapping[str, Any], permission: Permission) -> Principal:
        """Somebody."""
        return SOMEBODY

    def watch(
        self, scope: MutableMapping[str, Any], permission: Permission, cut: Callable[[Unauthorized | Forbidden], object]
    ) -> Watch:
        """Nothing is watched."""
        return UNWATCHED


class NoOutbox(Outbox):
    """Keeps nothing."""

    def add(self, row: dict[str, Any]) -> None:
        """It is gone."""


SOMEBODY = Principal("default", frozenset({EVERYTHING}))
UNWATCHED = Watch(b"", Permission.INFERENCE, lambda error: error)


def opened(services: Services, cluster: Cluster) -> Services:
    """The same without key check, policy and usage rows."""
    door = OpenDoor(services.database, AccessTokens(cluster.tokens(), cluster.configuration.identity.access_token_s))
    return replace(services, doorkeeper=door, outbox=NoOutbox(cluster.data_dir / "usage", services.database))


async def main() -> None:
    """Serve until ended."""
    cluster = Cluster.read(Path(sys.argv[1]))
    services = await build_services(cluster)
    if sys.argv[3:] == ["open"]:
        services = opened(services, cluster)
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
    keeping = asyncio.create_task(keep_known(services.doorkeeper))
    listener = bind(cluster.configuration.general_settings, reuse_port=False)
    await uvicorn.Server(config).serve(sockets=[listener])
    keeping.cancel()


async def keep_known(doorkeeper: Doorkeeper) -> None:
    """As `api.ingress` does."""
    while True:
        await asyncio.sleep(REFRESH_S)
        await doorkeeper.renew()
        await doorkeeper.note_used()


if __name__ == "__main__":
    uvloop.run(main())
