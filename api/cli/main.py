"""The `manta` command: the table of its commands. Each lies in a file of its own, imported when it is called."""

import signal
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from configs.errors import MantaError

COMMANDS = {
    "serve": "Start everything and stay in the foreground.",
    "status": "Tell what is up: parts, models, processes.",
    "stop": "Stop the running stack; running answers are finished first.",
    "doctor": "Check this machine and the installation; each finding with its fix.",
    "models": "List, add, remove and download models.",
    "keys": "Create, list and revoke API keys.",
    "chat": "Chat with a model in the terminal.",
    "ingest": "Have folders, files and pages indexed in a vector store.",
    "logs": "Show the logs of a part.",
    "profile": "Tell where one request's time goes.",
    "config": "Show and check the configuration.",
    "db": "Migrate, check, back up and restore the database.",
    "secrets": "List, make and rotate the keys that encrypt content and sign tokens.",
    "import": "Move in from Open WebUI, ChatGPT or LibreChat.",
    "audit": "Check, export and vouch for the audit log.",
    "eval": "Measure how good answers are.",
    "bench": "Measure the running stack.",
}
"""Each command's file in this folder, and the first line of its help (tests hold the two together)."""


class Lazy(TyperGroup):
    """Lists the commands without importing them."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  typer's own
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=text) for name, text in COMMANDS.items()}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  typer's context is private
        """Click: the names, in the order of the help."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Click: the command that is called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if name in COMMANDS else command, rest


def loaded(name: str) -> Any:  # noqa: ANN401
    """A whole command."""
    module = f"{name}_" if iskeyword(name) else name
    command = get_command(import_module(f"api.cli.{module}").app)
    command.name = name
    return command


app = typer.Typer(
    name="manta",
    cls=Lazy,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Each command tells more: manta serve --help",
)


@app.callback()
def manta() -> None:
    """A self-hosted AI platform on Ray: an OpenAI-compatible API over vLLM, started by one command."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; an expected error is one line that names the way out, and exit code 1."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited as ignored, every child would seem to have ended well
    try:
        app(arguments)
    except MantaError as error:
        typer.echo(f"manta: {error.message}", err=True)
        sys.exit(1)
