"""`manta eval`: how good retrieval is with the models that are configured, on text that is on every machine."""

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import console, print_json, table
from configs import files
from configs.errors import BadRequest, ConfigurationError, Internal
from configs.frames import Line
from configs.processes import Command
from configs.specs import Kind, ModelParams, ModelSpec
from retrieval.evaluation import report

app = application(groups=True, description="Measure how good answers are.")

MODULE = "serving.evaluation"
NAME = "evaluation"
NOBODY = "none"
DEFAULT_RERANKER = ModelSpec(model_name="reranker", kind=Kind.RERANK, params=ModelParams(model="joint/reranker"))
"""The one that comes with Manta."""
Tell = Callable[[str, int, int], object]
COLUMNS = ["ranker", "nDCG@10", "MRR", "recall@1", "recall@5", "recall@10", "ms per question"]


@app.callback()
def _commands() -> None:
    """Keep `retrieval` a command of its own."""


@app.command(epilog="Example: manta eval retrieval --output report.html")
def retrieval(
    *,
    output: Annotated[Path | None, typer.Option(help="Where an HTML report with plots goes.")] = None,
    embedder: Annotated[str | None, typer.Option(help="The embedding model's name; else the first.")] = None,
    reranker: Annotated[
        str | None, typer.Option(help="The rerank model's name, or none; else the first, else Manta's own.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Tokens of a chunk.", min=100, max=4096)] = 800,
    overlap_tokens: Annotated[int, typer.Option(help="Tokens that neighbours share.", min=0)] = 400,
    documents: Annotated[int | None, typer.Option(help="Only so many documents, to try it out.", min=1)] = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure search on documents and questions that come with Manta; needs no running stack and no network."""
    catalog = Installation(config, data_dir).catalog
    models = catalog.configuration.model_list
    if overlap_tokens > max_tokens // 2:
        raise BadRequest("--overlap-tokens is at most half of --max-tokens")
    judge = None if reranker == NOBODY else chosen(models, Kind.RERANK, reranker, DEFAULT_RERANKER)
    asked = {
        "embedder": chosen(models, Kind.EMBEDDING, embedder, None).model_dump_json(),
        "reranker": judge.model_dump_json() if judge else None,
        "max_tokens": max_tokens, "overlap_tokens": overlap_tokens, "documents": documents,
    }  # fmt: skip
    found = evaluated(asked)
    if output is not None:
        with files.disk_faults(output):
            output.write_text(report.page(found), "utf-8")
    if as_json:
        print_json(found)
        return
    screen = console()
    screen.print(report.summary(found), markup=False)
    screen.print(table([shown(row) for row in found["rankers"]], COLUMNS))
    if output is not None:
        typer.echo(f"The report is {output}; open it in a browser.")


def chosen(models: tuple[ModelSpec, ...], kind: Kind, name: str | None, default: ModelSpec | None) -> ModelSpec:
    """The model of that name, else the first of its kind, else the default.

    Raises:
        ConfigurationError: there is none.
    """
    known = [spec for spec in models if spec.kind is kind]
    if name is not None:
        known, default = [spec for spec in known if spec.model_name == name], None
    if found := next(iter(known), default):
        return found
    which = f" called {name!r}" if name else ""
    raise ConfigurationError(f"there is no {kind.value} model{which} in the configuration: add it to model_list")


def evaluated(asked: dict[str, Any]) -> dict[str, Any]:
    """What the child finds; how far it is stands on standard error.

    Raises:
        ConfigurationError: a model cannot be loaded.
        Internal: the child ended without an answer.
    """
    with _child() as (line, log), _progress() as tell:
        line.send(asked)
        for answer in line.received():
            if "error" in answer:
                raise ConfigurationError(answer["error"])
            if "found" in answer:
                found: dict[str, Any] = answer["found"]
                return found
            tell(*answer["progress"])
        raise Internal(f"The evaluation ended before it was done. The end of its log: {files.tail(log)}")


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A ranker's line of the table."""
    measures = {title: f"{row[key]:.3f}" for key, title in report.MEASURES.items()}
    return {"ranker": row["name"], **measures, "ms per question": f"{row['ms']:.1f}"}


@contextmanager
def _child() -> Iterator[tuple[Line, Path]]:
    """The process that loads models and this side's end of the line to it; it is ended with the block."""
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as folder, ours:
        log = Path(folder) / f"{NAME}.log"
        with theirs:
            argv = (sys.executable, "-m", MODULE, str(theirs.fileno()))
            env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
            child = Command(NAME, argv, Path.cwd(), env, log).spawn([theirs.fileno()])
        try:
            yield Line(ours.detach()), log
        finally:
            child.terminate(0)


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on standard error, gone when it is over; elsewhere than in a terminal nothing."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1)
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of)
