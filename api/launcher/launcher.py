"""Start everything, keep it running, end it.

    port            at once; /livez answers from here on
    PostgreSQL  ->  schema, models, operator's key
    Valkey          beside it
    Ray         ->  applications: each model, control, search, ingress      beside both

Each part that dies is started again: PostgreSQL and Valkey as they are, Ray's GCS from its own store, a raylet with a
new head. What a launcher that was killed left behind is ended before anything is started.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from api.launcher.parts import Parts
from api.launcher.port_keeper import PortKeeper
from configs import procfs, switches
from configs.catalog import Catalog
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import Internal, MantaError
from configs.ledger import Ledger
from configs.postgres import EmbeddedPostgres
from configs.processes import Child, Command
from configs.valkey import EmbeddedValkey

log = logging.getLogger(__name__)

KILL_GRACE_S = 5.0
HEAD_TIMEOUT_S = 120.0
SEED_TIMEOUT_S = 300.0
RESTART_PAUSE_S = 1.0
POLL_S = 0.05
RAY_PARTS = {"gcs_server": "ray gcs", "raylet": "ray"}


class Launcher:
    """One run of one installation, in a data directory that the caller holds."""

    def __init__(self, catalog: Catalog, layout: Layout, keeper: PortKeeper, parts: Parts) -> None:
        self._catalog = catalog
        self._layout = layout
        self._keeper = keeper
        self.parts = parts
        self._ledger = Ledger(layout.processes)
        self._environment = switches.environment(layout, catalog.settings)
        settings = catalog.settings
        self._postgres = None if settings.database_url else EmbeddedPostgres(layout)
        self._valkey = None if settings.redis_url else EmbeddedValkey(layout)
        self._ray: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Bring every part up; returns when the ingress answers on the port.

        Raises:
            MantaError: a part could not be started; the message says what to mend.
        """
        await asyncio.to_thread(self._clean_up)
        self._cluster().write(self._layout.cluster)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_database())
            group.create_task(self._start_valkey())
            group.create_task(self._start_ray())
        self.parts.set("ingress", "starting")
        await self._keeper.handed_over.wait()
        self.parts.set("ingress", "ready")

    async def stop(self, drain_s: float) -> None:
        """End every part: finish what streams, then Ray with all it holds, then the stores."""
        self._stopping = True
        self.parts.set("ingress", "draining")
        await self._keeper.drain(drain_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._end_ray)
        await asyncio.to_thread(self._end_stores)
        self._keeper.close()

    def _cluster(self) -> Cluster:
        layout, settings = self._layout, self._catalog.settings
        database = (
            settings.database_url.get_secret_value() if settings.database_url else self._own_postgres().urls.app_url
        )
        cache = settings.redis_url.get_secret_value() if settings.redis_url else self._own_valkey().url
        return Cluster(
            data_dir=layout.data_dir,
            database_url=database,
            redis_url=cache,
            link_secret=layout.secret("link"),
            port_socket=layout.port_socket,
            configuration=self._catalog.configuration,
        )

    async def _start_database(self) -> None:
        if self._postgres is not None:
            await self._start_store("postgres", self._postgres)
        self.parts.set("schema", "migrating")
        await self._seed()
        self.parts.set("schema", "ready")

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
        settings = self._catalog.settings
        own = self._postgres
        owner = own.urls.owner_url if own else self._cluster().database_url.get_secret_value()
        self._layout.secret("operator_key")
        order = {
            "migrate": own is not None,
            "owner_url": owner,
            "app_url": settings.database_url.get_secret_value()
            if settings.database_url
            else self._own_postgres().urls.app_url,
            "models": [spec.model_dump(mode="json") for spec in self._catalog.configuration.model_list],
            "operator_key": str(self._layout.secrets / "operator_key"),
        }
        await self._run_module("api.launcher.seed", order, SEED_TIMEOUT_S)

    async def _start_ray(self) -> None:
        self.parts.set("ray", "starting")
        self._layout.secret("ray_token")
        await asyncio.to_thread(_empty, self._layout.ray)
        command = self._python(
            "ray head", "api.launcher.head", [str(self._layout.ray)], self._layout.logs / "ray.jsonl"
        )
        command.log.unlink(missing_ok=True)
        child = command.spawn()
        self._ledger.add(child)
        await self._follow_head(child, command.log)
        self._ledger.remove(child)
        for name, ray_child in self._ray.items():
            self._watch(ray_child, partial(self._restart_ray, name))

    async def _follow_head(self, child: Child, output: Path) -> None:
        """Read the head's lines until it ends."""
        told: set[str] = set()
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            while True:
                over = not child.alive()
                for line in _json_lines(output):
                    if line["phase"] not in told:
                        told.add(line["phase"])
                        self._head_told(line)
                if over:
                    break
                await asyncio.sleep(POLL_S)
        if "deployed" not in told:
            raise Internal(f"Ray did not start; the end of {output} tells why")

    def _head_told(self, line: dict[str, Any]) -> None:
        if line["phase"] == "ray":
            for name, pid in line["pids"].items():
                adopted = Child.adopt(name, pid)
                if adopted is not None:
                    child = self._with_command(adopted)
                    self._ray[name] = child
                    self._ledger.add(child)
        elif line["phase"] == "deployed":
            self.parts.set("ray", "ready")
            for spec in self._catalog.configuration.model_list:
                self.parts.set(f"model {spec.model_name}", "waiting")

    def _with_command(self, child: Child) -> Child:
        """The child with what it takes to start it again: Ray's own arguments."""
        argv = tuple(procfs.command_line(child.pid))
        command = Command(
            child.name, argv, self._layout.ray, self._environment, self._layout.logs / f"{child.name}.log"
        )
        return Child(child.name, child.pid, child.started_at, command)

    async def _restart_ray(self, name: str) -> None:
        """GCS comes back with what it knew; without its raylet nothing of a node is left, so that takes a new head."""
        if name == "gcs_server":
            command = self._ray[name].command
            assert command is not None
            child = await asyncio.to_thread(command.spawn)
            self._ray[name] = child
            self._ledger.add(child)
            self._watch(child, lambda: self._restart_ray(name))
            return
        await asyncio.to_thread(self._end_ray)
        await self._start_ray()

    def _watch(self, child: Child, again: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(child, again))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, child: Child, again: Callable[[], Awaitable[None]]) -> None:
        await child.ended()
        if self._stopping or self._superseded(child):
            return
        log.warning("%s (pid %d) ended; starting it again", child.name, child.pid)
        self._ledger.remove(child)
        while not self._stopping:
            try:
                await again()
            except MantaError as error:
                log.error("%s could not be started: %s", child.name, error.message)
                await asyncio.sleep(RESTART_PAUSE_S)
            else:
                return

    def _superseded(self, child: Child) -> bool:
        """Ended on purpose, as part of a restart."""
        return child.name in RAY_PARTS and self._ray.get(child.name) != child

    async def _run_module(self, module: str, order: dict[str, Any], timeout_s: float) -> None:
        order_file = self._layout.secrets / f"{module}.json"
        order_file.touch(mode=0o600)
        order_file.write_bytes(orjson.dumps(order))
        log_file = self._layout.logs / f"{module.rpartition('.')[2]}.log"
        child = self._python(module, module, [str(order_file)], log_file).spawn()
        try:
            async with asyncio.timeout(timeout_s):
                await child.ended()
        finally:
            order_file.unlink()
        if child.exit_code() != 0:
            raise Internal(f"{module} failed; the end of {log_file} tells why")

    def _python(self, name: str, module: str, arguments: list[str], output: Path) -> Command:
        argv = (sys.executable, "-m", module, *arguments)
        return Command(name, argv, self._layout.ray, self._environment, output)

    def _clean_up(self) -> None:
        """End what an earlier launcher left running."""
        for child in self._ledger.survivors():
            log.warning("ending %s (pid %d), left by a launcher that was killed", child.name, child.pid)
            first = signal.SIGINT if child.name == "postgres" else signal.SIGTERM
            child.terminate(KILL_GRACE_S, first)
            self._ledger.remove(child)
        self._end_workers()

    def _end_ray(self) -> None:
        children, self._ray = list(self._ray.values()), {}
        for child in sorted(children, key=lambda child: child.name, reverse=True):  # raylet before gcs_server
            child.terminate(KILL_GRACE_S)
            self._ledger.remove(child)
        self._end_workers()

    def _end_workers(self) -> None:
        """Everything that works in Ray's folder: workers, engines, and what they started."""
        found = [Child.adopt("worker", pid) for pid in procfs.inside(self._layout.ray)]
        workers = [child for child in found if child is not None and child.pid != os.getpid()]
        for child in workers:
            child.signal(signal.SIGTERM)
        for child in workers:
            child.terminate(KILL_GRACE_S, signal.SIGKILL)

    def _end_stores(self) -> None:
        for store in (self._valkey, self._postgres):
            if store is not None:
                store.stop()
        for child in self._ledger.survivors():
            self._ledger.remove(child)

    def _own_postgres(self) -> EmbeddedPostgres:
        assert self._postgres is not None
        return self._postgres

    def _own_valkey(self) -> EmbeddedValkey:
        assert self._valkey is not None
        return self._valkey


def _json_lines(path: Path) -> list[dict[str, Any]]:
    """The complete JSON lines of a file that others may write words into."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [orjson.loads(line) for line in lines if line.startswith(b'{"phase"')]


def _empty(folder: Path) -> None:
    """Remove what an earlier run of Ray left."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
