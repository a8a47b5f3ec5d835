"""`manta db backup|backups|restore|verify`: whole backups, and the proof that they are good."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir
from api.cli.output import listing, print_json, size
from configs.errors import BadRequest

if TYPE_CHECKING:
    from api.cli.restorable import Restorable

PLACE = "A folder or s3://BUCKET/PREFIX; else `backup.to` of the YAML."
To = Annotated[str | None, typer.Option(help=PLACE, show_default=False)]
From = Annotated[str | None, typer.Option("--from", help=PLACE, show_default=False)]
Keep = Annotated[
    int | None, typer.Option(min=1, help="Remove all but the newest so many; else `backup.keep`.", show_default=False)
]
Id = Annotated[str | None, typer.Option("--id", help="Which one; else the newest.", show_default=False)]
At = Annotated[
    str | None, typer.Option(help="A moment, like 2026-11-26T12:00:00+01:00; else all there is.", show_default=False)
]
New = Annotated[Path, typer.Option(help="A new or empty folder.", show_default=False)]
Scratch = Annotated[
    Path | None,
    typer.Option(help="Room for the whole database; else the system's own.", file_okay=False, exists=True),
]
Erasures = Annotated[
    Path | None,
    typer.Option(
        help="`erasures.jsonl` of the old data directory: whoever it names is erased again, beside those whom the "
        "backups name.",
        show_default=False,
    ),
]
Anchors = Annotated[
    Path | None,
    typer.Option(
        help="A copy of the old `audit-anchor.jsonl`; else the file of `audit.anchor_file`.",
        show_default=False,
        dir_okay=False,
        exists=True,
    ),
]
MasterKeys = Annotated[
    Path | None,
    typer.Option(help="File with the master keys; else the data directory's.", show_default=False, dir_okay=False),
]
COLUMNS = ["id", "kind", "finished_at", "size", "schema", "log"]


def backup(
    to: To = None, keep: Keep = None, config: Config = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Back up the database, the files and the secrets, sealed under the master key. Manta may run meanwhile."""
    installation = Installation(config, data_dir)
    if keep is None and to is None:
        keep = installation.catalog.configuration.backup.keep
    restorable = _restorable(installation, to, None, as_json)
    made = restorable.take(keep)
    print_json(made) if as_json else typer.echo(f"{made['id']}: {size(made['size'])} in {restorable.place}")


def backups(
    from_: From = None,
    config: Config = None,
    data_dir: DataDir = None,
    master_keys: MasterKeys = None,
    as_json: AsJson = False,
) -> None:
    """List the backups there are, oldest first."""
    from api.backup.standing import hindrances  # noqa: PLC0415  see below

    installation = Installation(config, data_dir)
    for sentence in hindrances(installation.layout.data_dir):
        typer.echo(sentence, err=True)
    rows = _restorable(installation, from_, master_keys, as_json).all()
    shown = rows if as_json else [row | {"size": size(row["size"])} for row in rows]
    listing(shown, COLUMNS, as_json=as_json, empty="There is no backup yet: `manta db backup --to` takes one.")


def restore(
    data_dir: New,
    *,
    from_: From = None,
    backup_id: Id = None,
    at: At = None,
    master_keys: MasterKeys = None,
    erasures: Erasures = None,
    anchors: Anchors = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a new installation of a backup. DATABASE_URL, where it is set, names an empty database for the rows."""
    installation, until = Installation(config, data_dir), moment(at)
    settings = installation.catalog.settings
    elsewhere = master_keys or settings.manta_master_key_file or settings.manta_master_key_command
    if not elsewhere and not installation.layout.master_keys.exists():
        raise BadRequest("no backup holds the master keys: name your copy of them with --master-keys FILE")
    from api.backup.restore import Known  # noqa: PLC0415  SQLAlchemy: half a second that `--help` need not pay

    restorable = _restorable(installation, from_, master_keys, as_json)
    done = restorable.restore(data_dir, backup_id, until, master_keys, Known(erasures, anchors))
    print_json(done) if as_json else _tell_restored(done)


def _tell_restored(done: dict[str, Any]) -> None:
    if done["erased_again"]:
        typer.echo(f"Erased again: {done['erased_again']} people who were erased after that backup.")
    for name, seq in done["vouched"].items():
        typer.echo(f"Audit log of {name}: anchors after entry {seq} count no more, for the backup ends there.")
    if done["audit_faults"]:
        typer.echo(f"Audit log: {done['audit_faults']} faults beside that; `manta audit verify` names them.", err=True)
    typer.echo(f"{done['id']} is restored: manta serve --data-dir {done['data_dir']}")


def verify(
    from_: From = None,
    backup_id: Id = None,
    scratch: Scratch = None,
    config: Config = None,
    data_dir: DataDir = None,
    master_keys: MasterKeys = None,
    as_json: AsJson = False,
) -> None:
    """Prove a backup: open every part, start a second server of it, compare. Exit code 1 when something is wrong."""
    found = _restorable(Installation(config, data_dir), from_, master_keys, as_json).verify(backup_id, scratch)
    if as_json:
        print_json(found)
    elif found["ok"]:
        typer.echo(
            f"{found['backup']} is good: {found['parts']} parts ({size(found['bytes'])}), {found['files']} files, "
            f"{found['segments']} segments of the log, {found['rows']:,} rows in a second server."
        )
    else:
        typer.echo("\n".join(found["problems"]), err=True)
    if not found["ok"]:
        raise typer.Exit(1)


def moment(text: str | None) -> datetime | None:
    """A moment in time; UTC where no zone is named.

    Raises:
        BadRequest: it is none.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"--at {text!r} is no moment: write it like 2026-11-26T12:00:00+01:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _restorable(
    installation: Installation, place: str | None, master_keys: Path | None, as_json: AsJson
) -> "Restorable":
    from api.backup.progress import silent  # noqa: PLC0415  see below
    from api.cli.restorable import Restorable  # noqa: PLC0415  a second that `--help` need not pay

    return Restorable(installation, place, master_keys, silent if as_json else _tell)


def _tell(line: str) -> None:
    typer.echo(line, err=True)
