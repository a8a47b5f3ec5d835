"""Start everything, keep it running, end it.

    port            at once; /livez answers from here on
    PostgreSQL  ->  schema, models, operator's key
    Valkey          beside it
    Ray         ->  applications: each model, control, search, ingress      beside both

Each part that dies is started again: PostgreSQL and Valkey as they are, Ray as `api.launcher.ray_head` says.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from api.backup import standing
from api.launcher.modules import Modules
from api.launcher.parts import Parts
from api.launcher.port_keeper import PortKeeper
from api.launcher.ray_head import RayHead
from configs import connections, switches
from configs.catalog import Catalog
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import Internal, MantaError
from configs.keyring import Keyring
from configs.ledger import Ledger
from configs.postgres import EmbeddedPostgres
from configs.processes import Child
from configs.valkey import EmbeddedValkey

log = logging.getLogger(__name__)

ARCHIVIST = "api.backup.archivist"
ARCHIVIST_GRACE_S = 15.0
EMBEDDED = "--embedded"
SEED = "api.launcher.seed"
SEED_TIMEOUT_S = 300.0
INGRESS_TIMEOUT_S = 180.0
RESTART_PAUSE_S = 1.0


class Launcher:
    """One run of one installation, in a data directory that the caller holds and that nobody else works in."""

    def __init__(self, catalog: Catalog, layout: Layout, keeper: PortKeeper, parts: Parts) -> None:
        settings = catalog.settings
        self._catalog = catalog
        self._layout = layout
        self._keeper = keeper
        self.parts = parts
        self._ledger = Ledger(layout.processes)
        self._modules = Modules(layout, switches.environment(layout, settings))
        self._ray = RayHead(self._modules, self._ledger)
        self._postgres = (
            None
            if settings.database_url
            else EmbeddedPostgres(layout, max_connections=connections.embedded(catalog.configuration))
        )
        self._valkey = None if settings.redis_url else EmbeddedValkey(layout)
        self._archivist: Child | None = None
        self._guards: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self) -> None:
        """Bring every part up; returns when the ingress answers on the port.

        Raises:
            MantaError: a part could not be started; the message says what to mend.
        """
        log.info("starting in %s", self._layout.data_dir)
        Keyring.make(self._layout.token_keys)
        self._cluster().write(self._layout.cluster)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_database())
                group.create_task(self._start_valkey())
                group.create_task(self._start_ray())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self.parts.set("ingress", "starting")
        try:
            async with asyncio.timeout(INGRESS_TIMEOUT_S):
                await self._keeper.handed_over.wait()
        except TimeoutError:
            raise Internal("the ingress did not start; `manta logs --part ingress` tells why") from None
        self.parts.set("ingress", "ready")

    async def stop(self, drain_s: float) -> None:
        """End every part: finish what streams, then Ray with all it holds, then the stores."""
        log.info("stopping")
        self._stopping = True
        self.parts.set("ingress", "draining")
        await self._keeper.drain(drain_s)
        for task in self._guards:
            task.cancel()
        await asyncio.to_thread(self._ray.end)
        await asyncio.get_running_loop().shutdown_default_executor()  # a store that is just being started
        if self._archivist is not None:  # first: a server that shuts down waits for who follows its log
            await asyncio.to_thread(self._archivist.terminate, ARCHIVIST_GRACE_S)
        self._end_stores()
        self._keeper.close()

    def _cluster(self) -> Cluster:
        layout, settings = self._layout, self._catalog.settings
        return Cluster(
            data_dir=layout.data_dir,
            database_url=self._app_url(),
            database_read_url=settings.database_read_url,
            jobs_url=self._postgres.urls.jobs_url if self._postgres else None,
            redis_url=settings.redis_url.get_secret_value() if settings.redis_url else self._own_valkey().url,
            link_secret=layout.secret("link"),
            master_keys=self._master_keys,
            master_key_command=settings.manta_master_key_command or (),
            token_keys=layout.token_keys,
            port_socket=layout.port_socket,
            configuration=self._catalog.configuration,
        )

    async def _start_database(self) -> None:
        if self._postgres is not None:
            await self._start_store("postgres", self._postgres)
        self.parts.set("schema", "migrating")
        await self._seed()
        self.parts.set("schema", "ready")
        await self._start_archivist()

    async def _start_archivist(self) -> None:
        """Backups, where a target is set; else no log is kept for one."""
        if self._catalog.configuration.backup.to is None:
            standing.forget(self._layout.data_dir)
            if self._postgres is not None:
                await asyncio.to_thread(self._postgres.drop_slots)
            return
        modules = Modules(self._layout, switches.archivist(self._layout, self._catalog.settings))
        arguments = [str(self._layout.cluster), *([] if self._postgres is None else [EMBEDDED])]
        self._archivist = modules.command("archivist", ARCHIVIST, arguments, "archivist.log").spawn()
        self._ledger.add(self._archivist)
        self._watch(self._archivist, self._start_archivist)

    async def _start_valkey(self) -> None:
        if self._valkey is not None:
            await self._start_store("valkey", self._valkey)

    async def _start_store(self, name: str, store: EmbeddedPostgres | EmbeddedValkey) -> None:
        self.parts.set(name, "starting")
        child = await asyncio.to_thread(store.start)
        self._ledger.add(child)
        await asyncio.to_thread(store.wait_ready)
        self.parts.set(name, "ready")
        self._watch(child, lambda: self._start_store(name, store))

    async def _seed(self) -> None:
        self._layout.secret("operator_key")
        read_url = self._catalog.settings.database_read_url
        order = {
            "migrate": self._postgres is not None,
            "connections": connections.needed(self._catalog.configuration),
            "read_url": read_url.get_secret_value() if read_url else None,
            "read_connections": connections.reading(self._catalog.configuration),
            "owner_url": self._postgres.urls.owner_url if self._postgres else self._app_url(),
            "app_url": self._app_url(),
            "jobs_url": self._postgres.urls.jobs_url if self._postgres else self._app_url(),
            "master_keys": str(self._master_keys),
            "master_key_command": self._catalog.settings.manta_master_key_command,
            "models": [spec.model_dump(mode="json") for spec in self._catalog.configuration.model_list],
            "operator_key": str(self._layout.secrets / "operator_key"),
        }
        await self._modules.run(SEED, order, SEED_TIMEOUT_S)

    async def _start_ray(self) -> None:
        self.parts.set("ray", "starting")
        children = await self._ray.start()
        self._ray_is_up(children)
        for spec in self._catalog.configuration.model_list:
            self.parts.set(f"model {spec.model_name}", "waiting")

    async def _restart_ray(self, ended: Child) -> None:
        self.parts.set("ray", "restarting")
        self._ray_is_up(await self._ray.restart(ended))

    def _ray_is_up(self, children: list[Child]) -> None:
        self.parts.set("ray", "ready")
        for child in children:
            self._watch(child, partial(self._restart_ray, child), self._ray.holds)

    def _watch(
        self, child: Child, again: Callable[[], Awaitable[None]], wanted: Callable[[Child], bool] = lambda _: True
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(child, again, wanted))
        self._guards.add(task)
        task.add_done_callback(self._guards.discard)

    async def _guard(self, child: Child, again: Callable[[], Awaitable[None]], wanted: Callable[[Child], bool]) -> None:
        await child.ended()
        if self._stopping or not wanted(child):
            return
        log.warning("%s (pid %d) ended; starting it again", child.name, child.pid)
        self._ledger.remove(child)
        while not self._stopping:
            try:
                await again()
            except (MantaError, OSError) as error:
                log.warning("%s could not be started: %s", child.name, error)
            except Exception:
                log.exception("%s could not be started", child.name)  # a guard that ends leaves its part down for good
            else:
                return
            await asyncio.sleep(RESTART_PAUSE_S)

    def _end_stores(self) -> None:
        for store in (self._valkey, self._postgres):
            if store is not None:
                store.stop()
        for child in self._ledger.survivors():
            self._ledger.remove(child)

    @property
    def _master_keys(self) -> Path:
        return (self._catalog.settings.manta_master_key_file or self._layout.master_keys).absolute()

    def _app_url(self) -> str:
        given = self._catalog.settings.database_url
        if given:
            return given.get_secret_value()
        assert self._postgres is not None
        return self._postgres.urls.app_url

    def _own_valkey(self) -> EmbeddedValkey:
        assert self._valkey is not None
        return self._valkey
