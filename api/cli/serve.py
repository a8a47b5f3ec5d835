"""`manta serve`: run everything in the foreground until Ctrl-C."""

import asyncio
import contextlib
import errno
import signal
import sys
from pathlib import Path
from typing import Any

import orjson

from api.cli.display import Display, follow_models
from api.keys import key_of
from api.launcher.launcher import Launcher
from api.launcher.leftovers import end_leftovers
from api.launcher.parts import Parts
from api.launcher.port_keeper import PortKeeper
from api.port import bind
from configs.catalog import Catalog, load
from configs.datadir import Layout, default_data_dir
from configs.errors import ConfigurationError


def serve(config: Path | None, flags: dict[str, Any]) -> None:
    """Start, tell where, wait for a signal, drain, end.

    Raises:
        ConfigurationError: the configuration, the port or the data directory; the message names the way out.
    """
    catalog = load(config, flags)
    layout = Layout(catalog.configuration.general_settings.data_dir or default_data_dir())
    port = catalog.configuration.general_settings.port
    with layout.hold(command=" ".join(sys.argv), port=port):
        end_leftovers(layout)
        asyncio.run(run(catalog, layout))


async def run(catalog: Catalog, layout: Layout) -> None:
    """One run, from the port to the last process."""
    general = catalog.configuration.general_settings
    display = Display()
    parts = Parts(display.changed)
    keeper = PortKeeper(listen(catalog), parts.as_json)
    launcher = Launcher(catalog, layout, keeper, parts)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = f"http://{general.host}:{general.port}"
    layout.state.write_bytes(orjson.dumps({"url": url}))
    await keeper.open(layout.port_socket)
    starting = asyncio.create_task(launch(launcher, display, layout, url))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
        await stopped
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        display.say("stopping: running answers are finished first (Ctrl-C again does not hurry)")
        await launcher.stop(catalog.configuration.ingress.drain_timeout_s)


async def launch(launcher: Launcher, display: Display, layout: Layout, url: str) -> None:
    """Start, then show how the models come up."""
    await launcher.start()
    key = key_of(layout.secret("operator_key"))
    display.say(f"Manta answers on {url}/v1 with the key {key}")
    await follow_models(url, launcher.parts)
    display.ready(url, key)


def listen(catalog: Catalog) -> Any:  # noqa: ANN401
    """The front port.

    Raises:
        ConfigurationError: it is taken, or not ours to take.
    """
    general = catalog.configuration.general_settings
    try:
        return bind(general, reuse_port=False)
    except OSError as error:
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs root", errno.EADDRNOTAVAIL: "is not here"}
        reason = reasons.get(error.errno or 0, "cannot be used")
        msg = f"{general.host}:{general.port} {reason}: stop what listens there, or choose another with --port"
        raise ConfigurationError(msg) from error
