"""Ray's processes as the launcher sees them: started by `api.launcher.head`, followed through the lines it prints.

GCS keeps what it knows on disk, so one that dies is started again with its own arguments. Without its raylet nothing of
a node is left, so that takes a new head.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import orjson

from api.launcher.leftovers import GRACE_S, end_workers
from api.launcher.modules import Modules
from configs import procfs
from configs.errors import Internal
from configs.ledger import Ledger
from configs.processes import Child, Command

GCS = "gcs_server"
GCS_PORT = "--gcs_server_port="
START_TIMEOUT_S = 120.0
POLL_S = 0.05


class RayHead:
    """One Ray node, and Manta's applications on it."""

    def __init__(self, modules: Modules, ledger: Ledger) -> None:
        self._modules = modules
        self._layout = modules.layout
        self._ledger = ledger
        self._children: dict[str, Child] = {}

    async def start(self) -> list[Child]:
        """Raise the head and deploy; the processes that must live on.

        Raises:
            Internal: it did not start; the message names the log.
        """
        self._layout.secret("ray_token")
        await asyncio.to_thread(_empty, self._layout.ray)
        command = self._modules.command("ray head", "api.launcher.head", [str(self._layout.ray)], "ray.jsonl")
        command.log.unlink(missing_ok=True)
        child = command.spawn()
        self._ledger.add(child)
        try:
            phases = await self._follow(child, command.log)
        except TimeoutError:
            await asyncio.to_thread(child.terminate, GRACE_S)
            raise Internal(f"Ray did not start within {START_TIMEOUT_S:g} s; see {command.log}") from None
        self._ledger.remove(child)
        if "deployed" not in phases:
            raise Internal(f"Ray did not start; the end of {command.log} tells why")
        return list(self._children.values())

    async def restart(self, child: Child) -> list[Child]:
        """Bring back what ended; the processes to watch from now on."""
        if child.name != GCS:
            await asyncio.to_thread(self.end)
            return await self.start()
        assert child.command is not None
        again = await asyncio.to_thread(child.command.spawn)
        self._keep(again)
        return [again]

    def holds(self, child: Child) -> bool:
        """Whether this process belongs to the head that runs now."""
        return self._children.get(child.name) == child

    def end(self) -> None:
        """End the node and everything on it."""
        children, self._children = self._children, {}
        for child in sorted(children.values(), key=lambda child: child.name == GCS):
            child.terminate(GRACE_S)
            self._ledger.remove(child)
        end_workers(self._layout)

    async def _follow(self, head: Child, output: Path) -> set[str]:
        """Read the head's lines until it ends; the phases it named."""
        told: set[str] = set()
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                over = not head.alive()
                for line in _json_lines(output):
                    if line["phase"] == "ray" and "ray" not in told:
                        self._adopt(line["pids"], line["gcs_port"])
                    told.add(line["phase"])
                if over:
                    return told
                await asyncio.sleep(POLL_S)

    def _adopt(self, pids: dict[str, int], gcs_port: int) -> None:
        for name, pid in pids.items():
            child = Child.adopt(name, pid)
            if child is not None:
                argv = tuple(_on_port(word, gcs_port) for word in procfs.command_line(pid))
                log = self._layout.logs / f"{name}.log"
                command = Command(name, argv, self._layout.ray, self._modules.environment, log)
                self._keep(Child(name, pid, child.started_at, command))

    def _keep(self, child: Child) -> None:
        self._children[child.name] = child
        self._ledger.add(child)


def _on_port(word: str, gcs_port: int) -> str:
    """GCS chose a port by itself; the next one must take the same, which is the only one that the raylet asks."""
    return f"{GCS_PORT}{gcs_port}" if word.startswith(GCS_PORT) else word


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
