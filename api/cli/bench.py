"""`manta bench`: measure a running Manta. The benches are part of the source, not of the installed packages."""

import os
import runpy
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from api.cli.chat import first_chat_model
from api.cli.client import require
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from configs.errors import ConfigurationError

app = application()

MODULE = "bench.live"


@app.command(epilog="Example: manta bench --concurrency 1,16 --tokens 128")
def bench(
    model: Annotated[str | None, typer.Option(help="The model's name; else the first chat model that is up.")] = None,
    concurrency: Annotated[str, typer.Option(help="Numbers of clients.")] = "1,16,64",
    tokens: Annotated[int, typer.Option(help="Tokens of each answer.", min=2)] = 128,
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Measure the running stack: tokens per second and time to the first token by number of clients."""
    sys.path.append(os.getcwd())  # noqa: PTH109  where `make bench` runs, the checkout
    if find_spec("bench") is None or find_spec(MODULE) is None:
        raise ConfigurationError("the benches are not here: run this in a checkout of the source")
    with require(Installation(config, data_dir), url, key) as client:
        arguments = ["--url", f"{client.url}/v1", "--model", model or first_chat_model(client)]
        os.environ["MANTA_API_KEY"] = client.key or ""
    arguments += ["--concurrency", concurrency, "--tokens", str(tokens), *(["--json", "-"] if as_json else [])]
    sys.argv = [MODULE, *arguments]
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
