"""Our own modules as processes of their own: what imports Ray or SQLAlchemy stays out of the launcher."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from configs import files
from configs.datadir import Layout
from configs.errors import ConfigurationError, Internal
from configs.processes import Command

REFUSED = 3
"""How a module ends that wants something mended by the operator; the last line of its log says what."""


def refuse(error: ConfigurationError) -> NoReturn:
    """End a module's process so that `Modules.run` raises this error."""
    sys.stdout.flush()
    sys.stderr.write(" ".join(error.message.split()) + "\n")
    sys.exit(REFUSED)


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
            ConfigurationError: it refused (`refuse`); the message is its own.
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
        if child.exit_code() == REFUSED:
            raise ConfigurationError(files.tail(command.log).rpartition("\n")[2])
        if child.exit_code() != 0:
            raise Internal(f"{module} failed; the end of {command.log} tells why")
