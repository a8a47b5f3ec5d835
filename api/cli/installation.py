"""Which installation a command means, and whether it runs."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from configs.catalog import Catalog, load
from configs.datadir import Layout, default_data_dir
from configs.errors import ConfigurationError

UNSPECIFIC = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  listened on, not called


@dataclass(frozen=True)
class Running:
    """A `manta serve` that runs: its process and the address that this machine reaches it by."""

    pid: int
    url: str
    command: str
    certificate: Path | None = None
    """What it shows when its address is https."""


@dataclass(frozen=True)
class Installation:
    """What `--config` and `--data-dir` name. Making one reads nothing."""

    config: Path | None = None
    data_dir: Path | None = None

    @cached_property
    def catalog(self) -> Catalog:
        """The configuration.

        Raises:
            ConfigurationError: it has mistakes.
        """
        return load(self.config, {"data_dir": str(self.data_dir) if self.data_dir else None})

    @cached_property
    def layout(self) -> Layout:
        """The data directory's paths; a configuration with mistakes is no obstacle where the directory is given."""
        if self.data_dir is not None:
            return Layout(self.data_dir)
        return Layout(self.catalog.configuration.general_settings.data_dir or default_data_dir())

    def running(self) -> Running | None:
        """The stack that runs in this data directory, or None.

        Raises:
            ConfigurationError: the directory is closed to this user.
        """
        holder = self.layout.holder()
        if holder is None or holder.port is None:  # commands that hold it for a moment have no port
            return None
        told = _state(self.layout)
        if told.get("pid") != holder.pid:
            return Running(holder.pid, f"http://127.0.0.1:{holder.port}", holder.command)
        certificate = told.get("certificate")
        return Running(holder.pid, told["url"], holder.command, Path(certificate) if certificate else None)

    def require_running(self) -> Running:
        """The stack that runs.

        Raises:
            ConfigurationError: none does.
        """
        running = self.running()
        if running is None:
            msg = f"nothing runs in {self.layout.data_dir}: start it with `manta serve`, or name another --data-dir"
            raise ConfigurationError(msg)
        return running


def reachable_url(host: str, port: int, scheme: str = "http") -> str:
    """The address by which this machine reaches what listens on `host`."""
    name = UNSPECIFIC.get(host) or (f"[{host}]" if ":" in host else host)
    return f"{scheme}://{name}:{port}"


def announce(layout: Layout, pid: int, url: str, certificate: Path | None = None) -> None:
    """What `running` reads."""
    shown = str(certificate) if certificate else None
    layout.state.write_bytes(orjson.dumps({"pid": pid, "url": url, "certificate": shown}))


def _state(layout: Layout) -> dict[str, Any]:
    try:
        state: dict[str, Any] = orjson.loads(layout.state.read_bytes())
    except (OSError, ValueError):
        return {}
    return state
