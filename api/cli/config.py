"""`manta config`: what the configuration is, where each value came from, and whether a file is right."""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import listing, print_json
from configs import catalog as catalogs
from configs import origins, published

app = application(groups=True, description="Show and check the configuration.")


@app.command(epilog="Example: manta config show --origin")
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Where each value came from: file and line, variable.")
    ] = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole configuration as it counts; secrets are masked."""
    catalog = Installation(config, data_dir).catalog
    rows = [{"key": row.path, "value": row.value, "origin": row.origin} for row in origins.show(catalog)]
    if origin:
        listing(rows, ["key", "value", "origin"], as_json=as_json, empty="")
    elif as_json:
        print_json(catalog.configuration.model_dump(mode="json"))
    else:
        listing(rows, ["key", "value"], as_json=False, empty="")


@app.command(epilog="Example: manta config validate manta.yaml")
def validate(
    file: Annotated[Path, typer.Argument(help="The YAML to check.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check a file: each mistake with its line and what was probably meant. Exit code 1 when there is one."""
    flags = {"data_dir": str(data_dir) if data_dir else None}
    problems = catalogs.validate(file, flags)
    if as_json:
        print_json({"file": str(file), "valid": not problems, "problems": problems})
    elif problems:
        typer.echo("\n".join(problems), err=True)
    else:
        typer.echo(f"{file} is right.")
    if problems:
        raise typer.Exit(1)


@app.command(epilog="Example: manta config schema > manta.schema.json")
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    print_json(orjson.loads(published.schema()))
