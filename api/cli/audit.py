"""`manta audit`: the audit log of all organizations, from the database itself, with the stack up or down."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.db import database_of
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import print_json
from configs.errors import BadRequest

if TYPE_CHECKING:
    from api.audit.chain import Fault
    from api.audit.checking import Report

app = application(groups=True, description="Check, export and vouch for the audit log.")

Organization = Annotated[str | None, typer.Option(help="One organization's; else all.", show_default=False)]
SHOWN = 50
"""Faults that are printed for people; --json has all."""


@app.command(epilog="Example: manta audit verify --anchors /var/audit/audit-anchor.jsonl")
def verify(
    organization: Organization = None,
    anchors: Annotated[
        list[Path] | None,
        typer.Option(help="A file of anchors, oldest first; may be repeated. Else the configured one."),
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Walk every chain of the audit log and compare it with its anchors. Exit code 1 when an entry was touched."""
    from api.audit import checking  # noqa: PLC0415  SQLAlchemy: half a second that `--help` need not pay

    installation = Installation(config, data_dir)
    paths = anchors or [path for path in [_anchor_file(installation)] if path.exists()]
    known = checking.anchored(paths, installation.layout.secrets)
    report = database_of(installation).audited(lambda database: checking.check(database, known, organization))
    print_json(report.as_json()) if as_json else _tell(report)
    if report.faults:
        raise typer.Exit(1)


@app.command(epilog="Example: manta audit export --since 2026-01-01 > audit.jsonl")
def export(
    organization: Organization = None,
    since: Annotated[str | None, typer.Option(help="From this moment on, ISO 8601.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment.", show_default=False)] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print entries as JSON lines, oldest first, with all that their hashes cover."""
    from api.audit import exporting  # noqa: PLC0415  see above

    wanted = exporting.between(moment("--since", since), moment("--until", until))
    write = typer.get_binary_stream("stdout").write
    database_of(Installation(config, data_dir)).audited(
        lambda database: exporting.export(database, wanted, organization, write)
    )


@app.command(epilog="Example: manta audit restored")
def restored(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Vouch for a restored backup: anchors of entries that it does not have count no more, and this is logged."""
    from api.audit import restoring  # noqa: PLC0415  see above

    installation = Installation(config, data_dir)
    heads = restoring.vouch(database_of(installation), _anchor_file(installation), installation.layout.secrets)
    if as_json:
        print_json({head.organization_id: head.seq for head in heads})
    for head in heads if not as_json else ():
        typer.echo(f"{head.organization_id}: anchors after entry {head.seq} count no more.")


def moment(option: str, text: str | None) -> datetime | None:
    """A moment in ISO 8601; without a zone it is UTC.

    Raises:
        BadRequest: it is none.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{option} {text!r} is no moment; write it as 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _anchor_file(installation: Installation) -> Path:
    from api.audit.anchors import FILE  # noqa: PLC0415  see above

    return installation.catalog.configuration.audit.anchor_file or installation.layout.data_dir / FILE


def _tell(report: "Report") -> None:
    for each in report.restored:
        typer.echo(f"{each.organization_id}: restored from a backup at entry {each.seq}, {each.at}.")
    counted = f"{report.entries} entries in {report.chains} chains, {report.anchors} anchors"
    if not report.faults:
        typer.echo(f"Nothing was touched: {counted}.")
        return
    for fault in report.faults[:SHOWN]:
        typer.echo(sentence(fault), err=True)
    if len(report.faults) > SHOWN:
        typer.echo(f"... and {len(report.faults) - SHOWN} more; --json has all.", err=True)
    typer.echo(f"Somebody touched the audit log: {counted}, {len(report.faults)} faults.", err=True)


def sentence(fault: "Fault") -> str:
    """A fault for people."""
    if fault.place:
        return f"{fault.place}: {fault.trace.value}"
    span = f"entry {fault.seq}" if fault.seq == fault.last else f"entries {fault.seq} to {fault.last}"
    return f"{fault.organization_id}, {span}: {fault.trace.value}"
