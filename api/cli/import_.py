"""`manta import`: move in from another program. It works on the database itself, whether the stack is up or down."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import console, print_json, table
from api.cli.secrets import master_keys
from api.imports.records import Export
from api.scope import DEFAULT_ORGANIZATION
from configs import plugins
from configs.errors import BadRequest

if TYPE_CHECKING:
    from api.db.session import Database
    from api.moving.move import Wishes
    from api.moving.report import Report

app = application(description="Move in from another program.")

PACKAGE = "api.imports"
TOLD_EVERY = 50
"""Things between two changes of the line that shows the progress."""
SHOWN_IDS = 3
EXAMPLES = (
    "Examples: manta import open-webui webui.db · manta import chatgpt export.zip --to me@example.com · "
    "manta import librechat conversation.json --to me@example.com"
)


@app.command(epilog=EXAMPLES)
def run(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="open-webui, chatgpt or librechat.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its database or export.")],
    *,
    to: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Who gets the conversations, where the file does not say it.")
    ] = None,
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="THERE=HERE", help="Who there is who here, by e-mail; may be repeated."),
    ] = None,
    organization: Annotated[str, typer.Option(help="The organization to move into.")] = DEFAULT_ORGANIZATION,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, change nothing.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take over people, conversations and their branches. Doing it again adds only what is new."""
    from api.moving.move import Wishes  # noqa: PLC0415  SQLAlchemy: half a second that `--help` need not pay

    wishes = Wishes(organization, to, pairs(mapped or []), dry_run)
    export = opened(source, file)
    with progress() as told:
        report = _moved(Installation(config, data_dir), export, wishes, told)
    if as_json:
        print_json(report.as_json())
    else:
        _tell(report)


def opened(source: str, file: Path) -> Export:
    """The file, by the reader of its program.

    Raises:
        BadRequest: there is no such reader, or it refuses the file.
    """
    names = [name.replace("_", "-") for name in plugins.available(PACKAGE)]
    if source not in names:
        raise BadRequest(f"nothing is known of {source!r}; known are {', '.join(names)}")
    export: Export = plugins.load(PACKAGE, source.replace("-", "_"))(file)
    return export


def pairs(mapped: list[str]) -> dict[str, str]:
    """`there=here` as a mapping.

    Raises:
        BadRequest: one is no such pair.
    """
    found = {}
    for each in mapped:
        there, _, here = each.partition("=")
        if "@" not in there or "@" not in here:
            raise BadRequest(f"--map {each!r} must be two e-mail addresses: there@example.com=here@example.com")
        found[there.strip()] = here.strip()
    return found


@contextmanager
def progress() -> Iterator[Callable[["Report"], None]]:
    """Where the counts are shown while it goes on: a line that changes, on terminals only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with console(stderr=True).status("reading …") as status:
        calls = 0

        def told(report: "Report") -> None:
            nonlocal calls
            calls += 1
            if calls % TOLD_EVERY == 0:
                conversations = report.conversations_added + report.conversations_extended
                unchanged, messages = report.conversations_unchanged, report.messages_added
                status.update(f"{conversations:,} conversations, {messages:,} messages; {unchanged:,} were here")

        yield told


def _moved(installation: Installation, export: Export, wishes: "Wishes", told: Callable[["Report"], None]) -> "Report":
    from api.cli import stored  # noqa: PLC0415
    from api.moving.move import move_in  # noqa: PLC0415
    from api.vault.masters import settle_masters  # noqa: PLC0415
    from api.vault.vault import Vault  # noqa: PLC0415

    async def work(database: "Database") -> "Report":
        keyring = master_keys(installation)
        async with database.unit() as session:
            await settle_masters(session, keyring)
        return await move_in(database, Vault(keyring), export, wishes, told)

    return stored.database_at_any_time(installation).as_jobs(work)


def _tell(report: "Report") -> None:
    verb = "would be" if report.dry_run else "were"
    for name, count in report.counts().items():
        what, how = name.split("_")
        typer.echo(
            f"{count:>9,} {what} {verb} {how}" if how != "unchanged" else f"{count:>9,} {what} were here already"
        )
    if not report.skipped:
        return
    rows = [
        {
            "count": f"{group['count']:,}",
            "what": group["what"],
            "why": group["why"],
            "for example": group["ids"][:SHOWN_IDS],
        }
        for group in report.as_json()["skipped"]
    ]
    typer.echo()
    console().print(table(rows, ["count", "what", "why", "for example"], title="left out or mended"))
