"""`manta models`: what is served, by the API when the stack is up, from the file and the database when it is down."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from api.cli.client import Client, connect
from api.cli.display import SETTLED, reason
from api.cli.installation import Installation
from api.cli.memory import shortage
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from api.cli.output import console, listing, print_json, size
from configs import arguments as command_line
from configs import switches
from configs.errors import BadRequest, Conflict, Internal, ModelNotFound
from configs.flags import entry_for
from configs.problems import explain_model
from configs.specs import Kind, ModelSpec
from models import sources

if TYPE_CHECKING:
    from api.cli.stored import StoredModels

app = application(groups=True, description="List, add, remove and download models.")

COLUMNS = ["id", "kind", "source", "replicas", "state", "phase"]
POLL_S = 0.5
EMBEDDING_BACKEND = "sentence_transformers"
EMBEDDING_FILE = "modules.json"
"""What every folder of sentence-transformers has."""


@app.command("list", epilog="Example: manta models list --json")
def list_models(
    config: Config = None, data_dir: DataDir = None, url: Url = None, key: Key = None, as_json: AsJson = False
) -> None:
    """List the models: source (path or hub id), replicas and state of each."""
    installation = Installation(config, data_dir)
    client = connect(installation, url, key)
    rows = client.get("/api/models")["data"] if client else configured(installation)
    listing(rows, COLUMNS, as_json=as_json, empty="There is no model: `manta models add NAME` adds one.")


@app.command(
    epilog="Example: manta models add Qwen/Qwen3-0.6B --max-model-len 2048 --wait",
    context_settings={"ignore_unknown_options": True},
)
def add(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="MODEL, FLAGS", help="A hub id, a folder or a bundled name, and engine arguments."),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="The name by which clients ask for it; else its source's.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="What it answers; else as its files look.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show its phases until it is ready.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Serve one more model while the others go on; it is still there after the next start."""
    installation = Installation(config, data_dir)
    client = connect(installation, url, key)
    spec = spec_of(arguments, name, kind)
    if client is None:
        row = _add_offline(installation, spec)
    else:
        _warn_of_memory(client, spec)
        row = client.post("/api/models", spec.model_dump(mode="json", exclude_defaults=True))
        row = follow(client, spec.model_name) if wait else row
    if as_json:
        print_json(row)
    elif client is None:
        typer.echo(f"{spec.model_name} is added; the next `manta serve` starts it.")
    elif not wait:
        typer.echo(f"{spec.model_name} is added and starts; `manta models list` tells how far it is.")


@app.command(epilog="Example: manta models remove Qwen/Qwen3-0.6B")
def remove(
    name: Annotated[str, typer.Argument(help="Its name, as `manta models list` shows it.")],
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Stop serving a model; requests that run are finished."""
    installation = Installation(config, data_dir)
    client = connect(installation, url, key)
    if client:
        client.delete(f"/api/models/{name}")
    elif not _stored(installation).remove_added(name):
        raise ModelNotFound(_not_removed(installation, name))
    if as_json:
        print_json({"id": name, "deleted": True})
        return
    typer.echo(f"{name} is removed.")
    if client and url is None and _in_file(installation, name):
        typer.echo("It stands in the YAML and comes back with the next start; remove it from there too.", err=True)


@app.command(epilog="Example: manta models pull Qwen/Qwen3-0.6B")
def pull(
    source: Annotated[str, typer.Argument(metavar="HUB_ID", help="A hub id such as owner/name.")],
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Download a model into Hugging Face's cache, so that a start need not; only weights that cannot run as code."""
    settings = Installation(config, data_dir).catalog.settings
    switches.apply_hugging_face(settings)
    if settings.hf_hub_offline:
        typer.echo("HF_HUB_OFFLINE is set: only what is in the cache is looked for.", err=True)
    folder = sources.folder(source.removeprefix("vllm/"), EMBEDDING_BACKEND)
    weight = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if as_json:
        print_json({"id": source, "path": str(folder), "bytes": weight})
    else:
        typer.echo(f"{source}: {size(weight)} in {folder}")


def configured(installation: Installation) -> list[dict[str, Any]]:
    """The models that the next start will serve: the file's, and those added since."""
    chosen = {spec.model_name: ("file", spec) for spec in installation.catalog.configuration.model_list}
    chosen |= {spec.model_name: ("api", spec) for spec in _stored(installation).added()}
    return [_row(spec, origin) for origin, spec in chosen.values()]


def spec_of(words: list[str], name: str | None, kind: Kind | None) -> ModelSpec:
    """The entry of the model list that was asked for.

    Raises:
        BadRequest: it is no model, or an engine argument is wrong.
    """
    parsed = command_line.parse(words)
    if len(parsed.words) != 1:
        raise BadRequest("name one model: a hub id, a folder or a bundled name")
    (model,) = parsed.words
    kind = kind or kind_of(model)
    entry = entry_for(model)
    if kind is not Kind.CHAT:
        source = entry["params"]["model"].partition("/")[2]
        entry = {**entry, "kind": kind.value, "params": {"model": f"{EMBEDDING_BACKEND}/{source}"}}
    if name is not None:
        entry["model_name"] = name
    try:
        return ModelSpec.model_validate({**entry, "engine": parsed.flags})
    except ValidationError as error:
        param, sentence = explain_model(error)[0]
        raise BadRequest(f"{param}: {sentence}" if param else sentence) from None


def kind_of(model: str) -> Kind:
    """As its files look, as far as they are here; chat is the usual."""
    if model in sources.BUNDLED or Path(model).expanduser().is_dir():
        folder = sources.folder(model, EMBEDDING_BACKEND)
        return Kind.EMBEDDING if (folder / EMBEDDING_FILE).is_file() else Kind.CHAT
    return Kind.CHAT


def follow(client: Client, name: str) -> dict[str, Any]:
    """Show a model's phases until it is up.

    Raises:
        Internal: it failed; the message has the reason.
    """
    said, start = "", time.monotonic()
    screen = console(stderr=True)
    with screen.status(name):
        while True:
            rows = [row for row in client.get("/api/models")["data"] if row["id"] == name]
            if not rows:
                raise ModelNotFound(f"{name} was removed meanwhile")
            (row,) = rows
            if row["phase"] != said:
                said = row["phase"]
                screen.print(f"{time.monotonic() - start:6.1f} s  {name}  {said}", markup=False)
            if row["state"] == "failed":
                raise Internal(
                    f"{name} failed: {reason(row['message'])}; `manta logs --part model:{name}` has the rest"
                )
            if row["state"] in SETTLED:
                found: dict[str, Any] = row
                return found
            time.sleep(POLL_S)


def _row(spec: ModelSpec, origin: str) -> dict[str, Any]:
    """As `GET /api/models` tells it."""
    return {
        "id": spec.model_name,
        "object": "manta.model",
        "kind": spec.kind.value,
        "source": spec.params.source,
        "backend": spec.params.backend,
        "origin": origin,
        "replicas": 0,
        "state": "down",
        "phase": "down",
        "message": "",
    }


def _add_offline(installation: Installation, spec: ModelSpec) -> dict[str, Any]:
    if _in_file(installation, spec.model_name) or not _stored(installation).add(spec):
        raise Conflict(f"a model of the name {spec.model_name!r} is there already: choose another with --name")
    return _row(spec, "api")


def _in_file(installation: Installation, name: str) -> bool:
    return any(spec.model_name == name for spec in installation.catalog.configuration.model_list)


def _not_removed(installation: Installation, name: str) -> str:
    if _in_file(installation, name):
        return f"{name!r} stands in the YAML: remove it from there"
    return f"there is no model {name!r}: `manta models list` shows those there are"


def _warn_of_memory(client: Client, spec: ModelSpec) -> None:
    """The server may be elsewhere, so this is a word and no refusal."""
    if client.is_local and (lacking := shortage([spec])):
        typer.echo(f"warning: {lacking}", err=True)


def _stored(installation: Installation) -> "StoredModels":
    from api.cli.stored import StoredModels  # noqa: PLC0415  half a second that a running stack need not pay

    return StoredModels(installation)
