"""`manta stop`: end the stack of a data directory."""

import os
import time
from signal import SIGTERM
from typing import Annotated

import typer

from api.cli.installation import Installation, Running
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import console, print_json
from configs.errors import ConfigurationError, TimedOut
from configs.processes import Child

app = application()

POLL_S = 0.1
SECOND_SIGNAL_AFTER_S = 0.5


@app.command(epilog="Example: manta stop --data-dir /var/lib/manta")
def stop(
    config: Config = None,
    data_dir: DataDir = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for running answers.")] = False,
    timeout: Annotated[float, typer.Option(help="How many seconds to wait for its end.", min=1)] = 180.0,
    as_json: AsJson = False,
) -> None:
    """Stop the running stack; running answers are finished first."""
    installation = Installation(config, data_dir)
    running = installation.running()
    if running is None:
        if as_json:
            print_json({"stopped": False, "pid": None})
        else:
            typer.echo(f"Nothing runs in {installation.layout.data_dir}.")
        return
    seconds = end(installation, running, hurry=now, timeout_s=timeout)
    if as_json:
        print_json({"stopped": True, "pid": running.pid, "seconds": round(seconds, 1)})
    else:
        typer.echo(f"Stopped pid {running.pid} after {seconds:.1f} s.")


def end(installation: Installation, running: Running, *, hurry: bool, timeout_s: float) -> float:
    """Send SIGTERM (twice in a hurry) and wait until the data directory is free; the seconds that took.

    Raises:
        ConfigurationError: the process is somebody else's.
        TimedOut: it still runs.
    """
    began = time.monotonic()
    _signal(running)
    with console(stderr=True).status(f"stopping pid {running.pid}: running answers are finished first") as shown:
        while installation.layout.holder() is not None:
            waited = time.monotonic() - began
            if hurry and waited > SECOND_SIGNAL_AFTER_S:
                hurry = False
                _signal(running)
            if waited > timeout_s:
                hint = "`manta stop --now` does not wait for answers"
                raise TimedOut(f"pid {running.pid} still runs after {timeout_s:.0f} s: {hint}")
            shown.update(f"stopping pid {running.pid}: {waited:.0f} s")
            time.sleep(POLL_S)
    return time.monotonic() - began


def _signal(running: Running) -> None:
    child = Child.adopt("launcher", running.pid)
    if child is None:
        msg = f"the holder of the data directory, pid {running.pid}, is not in sight: stop it where it was started"
        raise ConfigurationError(msg)
    try:
        child.signal(SIGTERM)
    except PermissionError as error:
        msg = f"pid {running.pid} belongs to another user: stop it as that user (this one is {os.geteuid()})"
        raise ConfigurationError(msg) from error
