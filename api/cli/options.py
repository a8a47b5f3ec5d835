"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path | None, typer.Option(help="Where everything is kept.", show_default=False)]
Config = Annotated[Path | None, typer.Option(help="The YAML to read.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None, typer.Option(help="A server elsewhere, as http://host:port; else MANTA_URL.", show_default=False)
]
Key = Annotated[
    str | None,
    typer.Option(
        help="Its key. MANTA_API_KEY is better: other users of this machine see command lines.", show_default=False
    ),
]


def application(*, groups: bool = False, description: str | None = None) -> typer.Typer:
    """An application for the commands of one file."""
    return typer.Typer(no_args_is_help=groups, add_completion=False, pretty_exceptions_enable=False, help=description)
