"""The `manta` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from configs.errors import MantaError

app = typer.Typer(name="manta", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def manta() -> None:
    """A self-hosted AI platform on Ray."""


@app.command()
def serve(
    model: Annotated[str | None, typer.Argument(help="a hub id or a folder, instead of the file's chat models")] = None,
    config: Annotated[Path | None, typer.Option(help="the YAML to read")] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where everything is kept")] = None,
) -> None:
    """Start everything and stay in the foreground."""
    from api.cli import serve as command  # noqa: PLC0415

    command.serve(config, {"model": model, "host": host, "port": port, "data_dir": str(data_dir) if data_dir else None})


def main() -> None:
    """Run the command; an expected error is one line and exit code 1."""
    try:
        app()
    except MantaError as error:
        typer.echo(f"manta: {error.message}", err=True)
        sys.exit(1)
