"""`manta db`: the database's schema. On a cluster a job runs `upgrade` before new replicas start."""

from typing import TYPE_CHECKING

import typer

from api.cli import backup
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import print_json
from configs.errors import ConfigurationError

if TYPE_CHECKING:
    from api.db.offline import OfflineDatabase

app = application(groups=True, description="Migrate, check, back up and restore the database.")
app.command(epilog="Example: manta db backup --to s3://bucket/manta")(backup.backup)
app.command(epilog="Example: manta db backups --from /srv/backups")(backup.backups)
app.command(epilog="Example: manta db restore --from s3://bucket/manta --master-keys keys --data-dir /srv/manta")(
    backup.restore
)
app.command(epilog="Example: manta db verify --from s3://bucket/manta")(backup.verify)


@app.command(epilog="Example: DATABASE_URL=postgresql://owner@db.example.com/manta manta db upgrade")
def upgrade(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Bring the database to this version's schema. Doing it again changes nothing."""
    before, after = database_of(Installation(config, data_dir)).upgrade()
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        typer.echo(f"The schema is {after} already.")
    else:
        typer.echo(f"schema {before or 'none'} -> {after}")


@app.command(epilog="Example: manta db check")
def check(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Tell whether the database has this version's schema. Exit code 1 when it has not."""
    from api.db import schema  # noqa: PLC0415  SQLAlchemy: half a second that `--help` need not pay

    present, wanted = database_of(Installation(config, data_dir)).revision(), schema.wanted()
    if as_json:
        print_json({"present": present, "wanted": wanted, "ok": present == wanted})
    elif present == wanted:
        typer.echo(f"The schema is {present}, as this version wants it.")
    else:
        typer.echo(f"The schema is {present or 'none'}; this version wants {wanted}: run `manta db upgrade`.", err=True)
    if present != wanted:
        raise typer.Exit(1)


def database_of(installation: Installation) -> "OfflineDatabase":
    """The installation's database, whether its stack is up or down.

    Raises:
        ConfigurationError: there is none yet.
    """
    from api.cli.stored import database_at_any_time  # noqa: PLC0415  see above

    database = database_at_any_time(installation)
    if not database.exists():
        raise ConfigurationError(
            f"there is no database in {installation.layout.data_dir} yet: `manta serve` makes one, "
            "or DATABASE_URL names one of yours"
        )
    return database
