"""`manta keys`: API keys, through the API when the stack is up, in the database when it is down."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.client import connect
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from api.cli.output import listing, print_json
from api.principal import GRANTABLE
from configs.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from api.cli.stored import StoredKeys

app = application(groups=True, description="Create, list and revoke API keys.")

LONGEST_NAME = 100
EVERYTHING = ["*"]
COLUMNS = ["id", "name", "prefix", "permissions", "created_at", "expires_at"]
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@app.command(epilog="Example: manta keys create --name laptop --permission inference --expires-in 30d")
def create(
    name: Annotated[str, typer.Option(help="What to recognise it by.")],
    permission: Annotated[
        list[str] | None,
        typer.Option(help=f"What it may do; may be repeated. Without it: everything. ({', '.join(sorted(GRANTABLE))})"),
    ] = None,
    expires_in: Annotated[str | None, typer.Option(help="How long it lives: 12h, 30d, 8w. Without it: on.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown once, here, and kept nowhere."""
    asked: dict[str, Any] = {"name": checked_name(name), "permissions": checked_permissions(permission or EVERYTHING)}
    if expires_in is not None:
        asked["expires_in_s"] = seconds(expires_in)
    installation = Installation(config, data_dir)
    client = connect(installation, url, key)
    made = client.post("/api/keys", asked) if client else _stored(installation).create(asked)
    if as_json:
        print_json({"id": made["id"], "key": made["key"]})
        return
    until = f", until {made['expires_at']}" if made["expires_at"] else ""
    typer.echo(f"{made['key']}\n")
    typer.echo(f"This is the key {made['id']} ({', '.join(made['permissions'])}{until}). It is not shown again.")


@app.command("list", epilog="Example: manta keys list --json")
def list_keys(
    config: Config = None, data_dir: DataDir = None, url: Url = None, key: Key = None, as_json: AsJson = False
) -> None:
    """List the keys that were not revoked, by the beginning of each."""
    installation = Installation(config, data_dir)
    client = connect(installation, url, key)
    rows = client.get("/api/keys")["data"] if client else _stored(installation).listed()
    listing(rows, COLUMNS, as_json=as_json, empty="There is no key yet: `manta keys create --name NAME` makes one.")


@app.command(epilog="Example: manta keys revoke key_0123456789abcdef01234567")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `manta keys list` shows it.")],
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key; from now on it opens nothing."""
    installation = Installation(config, data_dir)
    client = connect(installation, url, key)
    if client:
        client.delete(f"/api/keys/{key_id}")
    elif not _stored(installation).revoke(key_id):
        raise NotFound(f"there is no key {key_id!r}: `manta keys list` shows those there are")
    print_json({"id": key_id, "revoked": True}) if as_json else typer.echo(f"The key {key_id} is revoked.")


def checked_name(name: str) -> str:
    """A name that a listing can show.

    Raises:
        BadRequest: it is empty or too long.
    """
    if not 0 < len(name.strip()) <= LONGEST_NAME:
        raise BadRequest(f"--name must have 1 to {LONGEST_NAME} characters")
    return name


def checked_permissions(asked: list[str]) -> list[str]:
    """Permissions that exist.

    Raises:
        BadRequest: one does not.
    """
    unknown = [each for each in asked if each not in GRANTABLE]
    if unknown:
        raise BadRequest(f"--permission {unknown[0]!r} is not known; known are {', '.join(sorted(GRANTABLE))}")
    return sorted(set(asked))


def seconds(span: str) -> int:
    """`30d` as seconds.

    Raises:
        BadRequest: it is no span of time.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", span.strip())
    if found is None:
        raise BadRequest(f"--expires-in {span!r} must be a number and a unit, for example 12h, 30d or 8w")
    return int(found[1]) * SECONDS[found[2]]


def _stored(installation: Installation) -> "StoredKeys":
    from api.cli.stored import StoredKeys  # noqa: PLC0415  half a second that a running stack need not pay

    return StoredKeys(installation)
