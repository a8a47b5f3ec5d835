"""The links of one process: one per replica, made when first needed, dropped when they break."""

import asyncio
import ssl

from configs.cluster import Cluster
from configs.errors import Unavailable
from serving.link.client import Address, Link
from serving.link.tls import client_context


class Links:
    """Opens and keeps links; concurrent requests for a new one share a single connect."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._links: dict[Address, asyncio.Task[Link]] = {}
        self._tls: ssl.SSLContext | None = None

    async def get(self, address: Address) -> Link:
        """A living link to `address`.

        Raises:
            Unavailable: nobody answers there.
        """
        task = self._links.get(address)
        if task is None or (task.done() and not self._usable(task)):
            self._forget_dead()
            task = asyncio.get_running_loop().create_task(self._connect(address))
            self._links[address] = task
        try:
            return await asyncio.shield(task)
        except (OSError, TimeoutError) as error:
            raise Unavailable("A replica does not answer.") from error

    def alive(self) -> dict[Address, Link]:
        """All links that stand."""
        return {address: task.result() for address, task in self._links.items() if self._usable(task)}

    def close(self) -> None:
        """Close all; running streams fail."""
        for link in self.alive().values():
            link.close()

    async def _connect(self, address: Address) -> Link:
        if address.tls and self._tls is None:
            self._tls = client_context(self._cluster.link_tls[0])
        return await Link.connect(address, self._cluster.link_secret.get_secret_value().encode(), self._tls)

    def _forget_dead(self) -> None:
        self._links = {at: task for at, task in self._links.items() if not task.done() or self._usable(task)}

    @staticmethod
    def _usable(task: "asyncio.Task[Link]") -> bool:
        return task.done() and not task.cancelled() and task.exception() is None and task.result().alive
