"""`manta secrets`: the master keys of what is stored encrypted, and the keys that sign access tokens.

All of it works beside a running stack, which learns of a change by itself. No key is ever printed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import listing, print_json
from configs.cluster import Cluster
from configs.errors import BadRequest, MantaError
from configs.keyring import Keyring

if TYPE_CHECKING:
    from api.cli.stored_secrets import StoredSecrets

app = application(groups=True, description="List, make and rotate the keys that encrypt content and sign tokens.")

TOKEN_KEYS = 2
"""Live keys for tokens: the active one, and the one before it for as long as its tokens live (minutes)."""

Tokens = Annotated[bool, typer.Option("--tokens", help="The keys that sign access tokens, instead of the master keys.")]


@app.command("list", epilog="Example: manta secrets list")
def list_keys(tokens: Tokens = False, config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List keys by id. Exit code 1 when the database needs a master key that the keyring lacks."""
    installation = Installation(config, data_dir)
    if tokens:
        ids = token_keys(installation).ids
        listing([{"id": each, "state": state(each, ids)} for each in ids], ["id", "state"], as_json=as_json, empty="")
        return
    rows = _stored(installation).listed()
    listing(rows, ["id", "state", "data_keys"], as_json=as_json, empty="")
    if any(row["state"] == "missing" for row in rows):
        raise typer.Exit(1)


@app.command(epilog="Example: manta secrets make /etc/manta/master_keys")
def make(path: Annotated[Path, typer.Argument(help="The file to write.")], as_json: AsJson = False) -> None:
    """Write a keyring with one random key, for MANTA_MASTER_KEY_FILE or a cluster's secret. What is there stays."""
    ring = Keyring.make(path.absolute())
    print_json({"path": str(path), "active": ring.active.id}) if as_json else typer.echo(
        f"The keyring {path} has the active key {ring.active.id}. Keep a copy away from the database's backups."
    )


@app.command(epilog="Example: manta secrets rotate; days later: manta secrets rotate --retire ID")
def rotate(
    retire: Annotated[
        str | None, typer.Option(metavar="ID", help="Take this old key out, instead of making a new one.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a rotation that was cut short; no new key.")] = False,
    tokens: Tokens = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a new key the active one, and wrap every data key with it. The old one stays until it is retired."""
    if resume and (retire is not None or tokens):
        raise BadRequest("--resume goes with neither --retire nor --tokens")
    installation = Installation(config, data_dir)
    if tokens:
        ring = token_keys(installation)
        _rotate_tokens(ring, retire, as_json=as_json)
        _note(installation, ring, "secret.rotate" if retire is None else "secret.retire", retire)
        return
    stored = _stored(installation)
    walk = stored.turn(fresh=retire is None and not resume, retire=retire)
    told = {"active": stored.keyring.active.id, "wrapped": walk.done, "unreadable": walk.unreadable, "retired": retire}
    print_json(told) if as_json else _tell(stored.keyring, walk.done, retire)
    if walk.unreadable:
        typer.echo(f"No key opens these data keys; they stay as they are: {', '.join(walk.unreadable)}", err=True)
        raise typer.Exit(1)


def _tell(ring: Keyring, wrapped: int, retired: str | None) -> None:
    typer.echo(f"The active key is {ring.active.id}; {wrapped} data keys were brought under it.")
    if retired is not None:
        where = "" if ring.is_file else f" Take its line out of where {ring.place} gets it, in a few minutes."
        typer.echo(f"The key {retired} opens nothing any more.{where}")
    elif old := ring.ids[1:]:
        typer.echo(
            "Copy the keyring to where you keep it. Backups made so far still need the old key; when none of them "
            f"matters any more: manta secrets rotate --retire {old[0]}"
        )


def _rotate_tokens(ring: Keyring, retire: str | None, *, as_json: bool) -> None:
    if retire is not None:
        ring.without(retire)
    else:
        ring.rotated()
        for old in ring.ids[TOKEN_KEYS:]:
            ring.without(old)
    print_json({"active": ring.active.id, "ids": list(ring.ids)}) if as_json else typer.echo(
        f"Access tokens are signed with {ring.active.id}; good are those of {', '.join(ring.ids)}."
    )


def _note(installation: Installation, ring: Keyring, action: str, retired: str | None) -> None:
    """After the act, which a leak makes urgent: it does not wait for the database."""
    try:
        _stored(installation).noted(action, retired or ring.active.id)
    except MantaError as error:
        typer.echo(f"It is done, and the audit log does not say so: {error.message}", err=True)


def state(key_id: str, ids: tuple[str, ...]) -> str:
    """What a key of the ring is."""
    return "active" if key_id == ids[0] else "old"


def master_keys(installation: Installation) -> Keyring:
    """The master keys: those of the running stack, else of this environment."""
    if installation.running() is not None:
        return Cluster.read(installation.layout.cluster).masters()
    settings = installation.catalog.settings
    if settings.manta_master_key_command:
        return Keyring.of_command(settings.manta_master_key_command)
    return Keyring.at((settings.manta_master_key_file or installation.layout.master_keys).absolute())


def token_keys(installation: Installation) -> Keyring:
    """The keys that sign access tokens."""
    return Keyring.read(installation.layout.token_keys)


def _stored(installation: Installation) -> "StoredSecrets":
    from api.cli.stored_secrets import StoredSecrets  # noqa: PLC0415  SQLAlchemy: half a second

    return StoredSecrets(installation, master_keys(installation))
