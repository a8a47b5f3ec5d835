"""Our own modules as processes of their own: what imports Ray or SQLAlchemy stays out of the launcher."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from configs.datadir import Layout
from configs.errors import Internal
from configs.processes import Command


@dataclass(frozen=True)
class Modules:
    """Starts modules in one environment, their output in the data directory's logs."""

    layout: Layout
    environment: Mapping[str, str]

    def command(self, name: str, module: str, arguments: list[str], log: str) -> Command:
        """How `python -m module arguments` is started."""
        argv = (sys.executable, "-m", module, *arguments)
        return Command(name, argv, self.layout.ray, self.environment, self.layout.logs / log)

    async def run(self, module: str, order: dict[str, Any], timeout_s: float) -> None:
        """Run a module on an order, a JSON file that only this user can read and that is gone afterwards.

        Raises:
            Internal: it failed; the message names its log.
        """
        name = module.rpartition(".")[2]
        order_file = self.layout.secrets / f"{name}.json"
        order_file.touch(mode=0o600)
        order_file.write_bytes(orjson.dumps(order))
        command = self.command(name, module, [str(order_file)], f"{name}.log")
        child = command.spawn()
        try:
            async with asyncio.timeout(timeout_s):
                await child.ended()
        finally:
            order_file.unlink()
        if child.exit_code() != 0:
            raise Internal(f"{module} failed; the end of {command.log} tells why")
