"""What every Serve deployment has in common whose work arrives on links (docs/decisions/0003): slots and an address.

It does not know what is asked.
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import orjson
import ray
from ray import serve

from configs.cluster import Cluster
from models.wire import Call
from serving.lease_book import LeaseBook
from serving.link.client import Address
from serving.link.server import ServerLink, StreamReply
from serving.link.tls import server_context

LOOPBACK = "127.0.0.1"


class Linked(ABC):
    """Subclasses `answer` calls. A call tells the slot that it runs on, which is then in use (`LeaseBook.use`)."""

    @abstractmethod
    async def answer(self, call: Call, reply: StreamReply) -> None:
        """Serve one call."""

    async def _open_door(self, cluster: Cluster) -> Address:
        """Listen for links, from now on."""
        host = ray.util.get_node_ip_address()
        local = host == LOOPBACK
        self._leases = LeaseBook()
        self._replica = str(serve.get_replica_context().replica_id.unique_id)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ServerLink(self, cluster.link_secret.get_secret_value().encode()),
            host,
            0,
            ssl=None if local else server_context(*cluster.link_tls),
            family=socket.AF_INET,
        )
        self._address = Address(host, self._server.sockets[0].getsockname()[1], tls=not local)
        return self._address

    async def lease(self, lease: str) -> AsyncIterator[str]:
        """Yield this replica's address once, then stay open until the lease ends."""
        ended = self._leases.open(lease)
        try:
            place = self._address
            yield orjson.dumps([place.host, place.port, place.tls, self._replica]).decode()
            await ended.wait()
        finally:
            self._leases.release(lease)

    def released(self, lease: str) -> None:
        """The link gave a lease back."""
        self._leases.release(lease)
