"""`manta ingest`: folders, files and pages into a vector store of a Manta that runs, here or elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from api.cli.output import console, print_json, table
from configs.errors import BadRequest

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.cli.local_files import Gathered
    from api.cli.planning import Plan

app = application(description="Have folders, files and pages indexed in a vector store.")

EXAMPLES = (
    "Examples: manta ingest ./handbook · manta ingest ./handbook --store handbook --delete · "
    "manta ingest report.pdf https://example.com/page --store reports"
)
SHOWN = 20


@app.command(epilog=EXAMPLES)
def run(
    sources: Annotated[list[str], typer.Argument(metavar="FOLDER|FILE|URL...", help="What is to be found.")],
    *,
    store: Annotated[
        str | None,
        typer.Option(help="The store's name or id; made where there is none. Else the first source's name."),
    ] = None,
    embedding_model: Annotated[
        str | None, typer.Option(help="For a store that is made: which embedding model; else the first served.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what came from these folders and is gone there.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="A folder or file of that name from elsewhere is an older state of this one."),
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is indexed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Upload what is new or changed and have it indexed. Doing it again costs only what changed."""
    from api.cli.client import require  # noqa: PLC0415  `--help` need not load it
    from api.cli.local_files import gather  # noqa: PLC0415  `--help` need not load it

    installation = Installation(config, data_dir)
    with require(installation, url, key) as client:
        wanted = Wanted(store or _name(sources[0]), embedding_model, delete, replace, not no_wait, dry_run)
        report = _ingested(client, gather(sources, _page_bytes(installation, sources)), wanted)
    if as_json:
        print_json(report)
    else:
        _tell(report)
    if report["failed"]:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was asked to do."""

    name: str
    model: str | None
    delete: bool
    replace: bool
    wait: bool
    dry: bool


def _ingested(client: "Client", gathered: "Gathered", wanted: Wanted) -> dict[str, Any]:
    from api.cli import planning, shelving  # noqa: PLC0415  `--help` need not load it

    name, model = wanted.name, wanted.model
    store = shelving.find_store(client, name)
    known = shelving.known_files(client, store["id"]) if store else {}
    plan = planning.plan_of(gathered, known, replacing=wanted.replace)
    if wanted.delete:
        planning.find_moves(plan)
    report = _report(gathered, plan, store["id"] if store else None, name)
    report["removed"] = [each.path for each in plan.gone] if wanted.delete else []
    if wanted.delete and plan.gone and not gathered.files:
        text = f"nothing to index is left, and --delete would remove {len(plan.gone)} files: is it the right folder?"
        raise BadRequest(text)
    if wanted.dry:
        return report | {"dry_run": True}
    if store is not None and model is not None and store.get("embedding_model", model) != model:
        text = f"the store {name!r} has the embedding model {store['embedding_model']!r}: leave the option out"
        raise BadRequest(text)
    if store is None:
        asked = {"name": name} | ({"embedding_model": model} if model else {})
        store = shelving.patient(lambda: client.post(shelving.STORES, asked))
        report["store"]["id"] = store["id"]
    total = len(plan.new) + len(plan.changed) + len(plan.again)
    with _progress("sent", total) as told:
        sent = shelving.send(client, store["id"], plan, told)
    report["failed"] += sent.refused
    report["waiting"] = len(sent.paths)
    shelving.move(client, store["id"], plan.moved)
    if wanted.delete:
        shelving.remove(client, plan.gone)
    if not wanted.wait:
        return report | {"replaced": []}
    with _progress("indexed", len(sent.paths), whole=True) as told:
        failed = shelving.wait(client, store["id"], sent, told)
    report["failed"] += failed
    report["notes"] = shelving.notes(client, store["id"], sent)
    report["waiting"] = 0
    bad = {each["path"] for each in report["failed"]}
    old = [each for path, files in plan.replaced.items() if path not in bad for each in files]
    shelving.remove(client, old)
    return report | {"replaced": [each.path for each in old]}


def _report(gathered: "Gathered", plan: "Plan", store_id: str | None, name: str) -> dict[str, Any]:
    return {
        "store": {"id": store_id, "name": name},
        "new": [each.path for each in plan.new],
        "changed": [each.path for each in plan.changed],
        "replaced": [each.path for files in plan.replaced.values() for each in files],
        "again": [each.path for each in plan.again],
        "moved": [each.path for each in plan.moved],
        "unchanged": plan.unchanged,
        "failed": [{"path": each.path, **(each.error or {})} for each in plan.failed],
        "skipped": [{"path": each.path, "why": each.why} for each in gathered.skipped],
        "notes": [],
        "waiting": 0,
        "dry_run": False,
    }


@contextmanager
def _progress(verb: str, total: int, *, whole: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on terminals; it is told how many more there are, or (`whole`) how many in all."""
    if not total or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415  `--help` need not load it

    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda count: bar.update(task, completed=count) if whole else bar.advance(task, count)


def _tell(report: dict[str, Any]) -> None:
    verb = "would be " if report["dry_run"] else ""
    for name in ("new", "changed", "replaced", "again", "moved", "removed"):
        if report[name]:
            typer.echo(f"{len(report[name]):>9,} {verb}{name}")
            if report["dry_run"]:
                _list(report[name])
    typer.echo(f"{report['unchanged']:>9,} unchanged")
    _table(report["skipped"], ["path", "why"], "left out")
    _table(report["notes"], ["path", "note"], "not read")
    _table(report["failed"], ["path", "message"], "failed")
    typer.echo(f"store {report['store']['name']!r}: {report['store']['id'] or 'would be made'}")
    if report["waiting"]:
        typer.echo(f"{report['waiting']:,} files are being indexed; the same command again tells how they ended.")


def _list(paths: list[str]) -> None:
    for path in paths[:SHOWN]:
        typer.echo(f"          {path}")
    if len(paths) > SHOWN:
        typer.echo(f"          and {len(paths) - SHOWN:,} more (--json lists all)")


def _table(rows: list[dict[str, str]], columns: list[str], title: str) -> None:
    if rows:
        typer.echo()
        console().print(table(rows[:SHOWN], columns, title=f"{title}: {len(rows):,}"))
        if len(rows) > SHOWN:
            typer.echo("… (--json lists all)")
        typer.echo()


def _page_bytes(installation: Installation, sources: list[str]) -> int:
    """As long as a file may be; where no page is fetched, no configuration is read."""
    pages = any("://" in source for source in sources)
    return installation.catalog.configuration.files.max_file_bytes if pages else 0


def _name(source: str) -> str:
    if "://" in source:
        return urlsplit(source).netloc
    return Path(source).resolve().name
