"""The front door: a Serve deployment that runs uvicorn itself on the front port.

Serve starts, watches and scales it; its requests go past Serve. `build_services` says what is built here.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from ray import serve

from api.app import create_app
from api.conversations import Conversations
from api.db import data_keys, logins
from api.db import keys as key_queries
from api.db import models as model_queries
from api.db.notifications import listen
from api.db.replica import ReplicatedDatabase
from api.db.session import Database
from api.directory import Directory
from api.files.blobs import Blobs
from api.files.library import Library
from api.files.place import file_target
from api.http import Connection
from api.knowledge.store_files import StoreFiles
from api.knowledge.stores import Stores
from api.outbox import Outbox
from api.port import BACKLOG, HandedPort, bind
from api.readiness import Readiness
from api.services import Services, identity_services
from api.tls import FrontTls
from api.vault.vault import Vault
from configs import telemetry
from configs.cluster import Cluster
from configs.errors import Unavailable
from serving import closed_door
from serving.gateway import Gateway
from serving.names import search_apps
from serving.sharded import finder_of

log = logging.getLogger(__name__)

APP = "ingress"
DEPLOYMENT = "ingress"
REFRESH_S = 5.0
TICK_S = 1.0
CERTIFICATE_S = 10.0


class Ingress:
    """The Serve deployment."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Serve awaits it
        closed_door.shut()
        cluster = Cluster.from_environment()
        telemetry.begin(cluster.configuration.general_settings.log_level)
        self._services = await build_services(cluster)
        self._drain_s = cluster.configuration.ingress.drain_timeout_s
        self._port = await _port(cluster)
        tls = FrontTls.of(cluster.configuration.general_settings)
        self._server = server(cluster, self._services, tls)
        url = cluster.database_url.get_secret_value()
        channels = [model_queries.CHANNEL, key_queries.CHANNEL, logins.CHANNEL, data_keys.CHANNEL]
        self._tasks = [
            asyncio.create_task(self._server.serve(sockets=[self._listener()])),
            asyncio.create_task(listen(url, channels, self._heard)),
            asyncio.create_task(self._keep_reading()),
        ]
        if tls is not None:
            self._tasks.append(asyncio.create_task(_keep_certificate(tls)))
        if isinstance(self._port, HandedPort):
            self._port.accepting()
            self._port.watch(self._drain)

    async def check_health(self) -> None:
        """Serve asks; a task that ended is a reason to start anew."""
        for task in self._tasks:
            if task.done():
                raise RuntimeError("a task of the ingress ended") from task.exception()

    async def __del__(self) -> None:
        """Serve stops this replica: accept nothing more, finish what runs."""
        self._server.leave()
        await asyncio.wait(self._tasks[:1], timeout=self._drain_s)
        for task in self._tasks[1:]:
            task.cancel()
        await self._services.outbox.flush()
        self._services.gateway.close()
        await self._services.database.close()

    def _listener(self) -> socket.socket:
        return self._port.listener if isinstance(self._port, HandedPort) else self._port

    def _heard(self, channel: str) -> None:
        if channel in (key_queries.CHANNEL, logins.CHANNEL):
            self._services.doorkeeper.forget()
        elif channel == data_keys.CHANNEL:
            self._services.vault.forget()
        else:
            self._refreshing = asyncio.ensure_future(self._services.directory.refresh())

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._services.directory.refresh()
            with contextlib.suppress(Unavailable):  # it goes on with what it knows; when keys were used is a hint
                await self._services.doorkeeper.renew()
                await self._services.doorkeeper.note_used()

    def _drain(self) -> None:
        self._draining = asyncio.ensure_future(self._finish())

    async def _finish(self) -> None:
        self._server.leave()
        await asyncio.wait(self._tasks[:1], timeout=self._drain_s)
        await self._services.outbox.flush()
        assert isinstance(self._port, HandedPort)
        with contextlib.suppress(OSError):
            self._port.drained()


async def build_services(cluster: Cluster) -> Services:
    """Everything behind the routes, on this loop."""
    database, vault = database_of(cluster), Vault(cluster.masters())
    gateway = Gateway(cluster)
    directory = Directory(database, gateway.forget)
    await directory.refresh()
    stores = Stores(vault)
    folder = cluster.data_dir / "usage"
    folder.mkdir(exist_ok=True)
    outbox = Outbox(folder, database)
    outbox.adopt()
    search = cluster.configuration.search
    return Services(
        cluster=cluster,
        database=database,
        directory=directory,
        gateway=gateway,
        outbox=outbox,
        vault=vault,
        conversations=Conversations(vault),
        library=Library(database, vault, Blobs(file_target(cluster)), cluster.configuration.files),
        stores=stores,
        store_files=StoreFiles(stores),
        finder=finder_of(cluster),
        readiness=Readiness(
            database,
            cluster.redis_url.get_secret_value(),
            search=search_apps(search.shards) if search.enabled else (),
            backups_of=cluster.data_dir if cluster.configuration.backup.to is not None else None,
        ),
        **identity_services(cluster, database, vault),
    )


def database_of(cluster: Cluster) -> Database:
    """The pool of the primary, with one of its replica where there is one."""
    url, read_url = cluster.database_url.get_secret_value(), cluster.database_read_url
    return Database(url) if read_url is None else ReplicatedDatabase(url, read_url.get_secret_value())


def ingress_app(cluster: Cluster) -> serve.Application:
    """What `serve.run(..., name=APP, route_prefix=None)` is given."""
    spec = cluster.configuration.ingress
    deployment = serve.deployment(Ingress, name=DEPLOYMENT).options(
        num_replicas=spec.num_replicas,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=spec.drain_timeout_s + 5,
    )
    return deployment.bind()


async def _port(cluster: Cluster) -> HandedPort | socket.socket:
    path: Path | None = cluster.port_socket
    if path is not None:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return await HandedPort.receive(path)
    return bind(cluster.configuration.general_settings, reuse_port=True)


async def _keep_certificate(tls: FrontTls) -> None:
    while True:
        await asyncio.sleep(CERTIFICATE_S)
        await asyncio.to_thread(tls.refresh)


def server(cluster: Cluster, services: Services, tls: FrontTls | None) -> "Server":
    """uvicorn as it answers on the front port."""
    ingress = cluster.configuration.ingress
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
        timeout_keep_alive=ingress.keep_alive_s,
        timeout_graceful_shutdown=round(ingress.drain_timeout_s),
        ssl_context_factory=(lambda _config, _default: tls.context) if tls is not None else None,
    )
    return Server(config)


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, for this process belongs to Ray, and without its ten looks a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Accept nothing more and finish what runs."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """uvicorn: until told to leave; each tick writes the `date` header anew."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn: leave the signals alone."""
        yield
