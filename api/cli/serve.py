"""`manta serve`: run everything in the foreground until Ctrl-C."""

import asyncio
import errno
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.display import Display, follow_models, make_display
from api.cli.installation import announce, reachable_url
from api.cli.options import Config, DataDir, application
from api.keys import key_of
from api.launcher.launcher import Launcher
from api.launcher.leftovers import end_leftovers
from api.launcher.parts import Parts
from api.launcher.port_keeper import PortKeeper
from api.launcher.welcome import first_admin_link
from api.port import bind
from api.tls import FrontTls
from configs import arguments as command_line
from configs import telemetry
from configs.catalog import Catalog, load
from configs.datadir import Layout, default_data_dir
from configs.datalock import Hold
from configs.errors import ConfigurationError

app = application()

HELP = """Start everything and stay in the foreground.

MODEL is a hub id, a folder or a bundled name, and is served instead of the file's chat models. All of vLLM's flags pass
through under their own names (--max-model-len, --dtype, --enable-prefix-caching), and so does every key of the file:
--log-level debug, --num-replicas 2, or by its path --search.enabled false.

Ctrl-C finishes running answers first; a second Ctrl-C does not wait for them.
"""


@app.command(
    help=HELP,
    context_settings={"ignore_unknown_options": True},
    epilog="Example: manta serve Qwen/Qwen3-0.6B --max-model-len 2048 --dtype float16",
)
def serve(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL, FLAGS", help="A model, and flags of vLLM or of the file.")
    ] = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; else 8000.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Start, tell where, wait for a signal, drain, end.

    Raises:
        ConfigurationError: the configuration, the port or the data directory; the message names the way out.
    """
    own = {"host": host, "port": port, "data_dir": str(data_dir) if data_dir else None}
    catalog = load(config, flags(arguments or []) | {name: value for name, value in own.items() if value is not None})
    layout = Layout(catalog.configuration.general_settings.data_dir or default_data_dir())
    with layout.hold(command=" ".join(sys.argv), port=catalog.configuration.general_settings.port) as hold:
        raise_open_files()
        with (layout.logs / "launcher.log").open("a", encoding="utf-8") as log:
            telemetry.begin(catalog.configuration.general_settings.log_level, log)
            end_leftovers(layout)
            asyncio.run(run(catalog, layout, hold))


def raise_open_files() -> None:
    """Each client is an open file: use what this account may have, here and in everything that is started."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def flags(words: list[str]) -> dict[str, Any]:
    """What was written after `serve`.

    Raises:
        ConfigurationError: more than one model is named, or a flag cannot be read.
    """
    parsed = command_line.parse(words)
    if len(parsed.words) > 1:
        shown = ", ".join(map(repr, parsed.words))
        raise ConfigurationError(f"serve takes one MODEL, and there are {len(parsed.words)} ({shown}); use --config")
    return parsed.flags | ({"model": parsed.words[0]} if parsed.words else {})


async def run(catalog: Catalog, layout: Layout, hold: Hold) -> None:
    """One run, from the port to the last process."""
    general = catalog.configuration.general_settings
    tls = FrontTls.of(general)
    listener = listen(catalog)
    url = reachable_url(general.host, listener.getsockname()[1], general.scheme)
    hold.announce(listener.getsockname()[1])
    announce(layout, os.getpid(), url, general.tls_cert)
    with make_display() as display:
        parts = Parts(display.changed)
        keeper = PortKeeper(listener, parts.as_json, tls)
        launcher = Launcher(catalog, layout, keeper, parts)
        stop = watch_signals(keeper)
        await keeper.open(layout.port_socket)
        starting = asyncio.create_task(launch(launcher, display, layout, url, general.tls_cert))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await stopped
        finally:
            starting.cancel()
            await asyncio.wait({starting})
            display.settle()
            display.say("stopping: running answers are finished first (Ctrl-C again ends them)")
            await launcher.stop(catalog.configuration.ingress.drain_timeout_s)
            display.say("stopped")


def watch_signals(keeper: PortKeeper) -> asyncio.Event:
    """The first SIGINT or SIGTERM sets the event, the second ends the drain."""
    stop = asyncio.Event()

    def received() -> None:
        (keeper.hurried if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, received)
    return stop


async def launch(
    launcher: Launcher, display: Display, layout: Layout, url: str, certificate: Path | None = None
) -> None:
    """Start, then show how the models come up."""
    await launcher.start()
    key = key_of(layout.secret("operator_key"))
    display.say(f"Manta answers on {url}/v1 with the key {key}")
    await follow_models(url, key, launcher.parts, display, certificate)
    display.settle()
    display.ready(url, key)
    if link := first_admin_link(layout.secrets):
        display.say(f"nobody has an account yet: the first one is made at {url}{link}")


def listen(catalog: Catalog) -> socket.socket:
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
