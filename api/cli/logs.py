"""`manta logs`: what the parts wrote, found by part."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import listing, size
from configs.datadir import Layout
from configs.errors import NotFound
from serving.names import APP_PREFIX, app_name

app = application()

POLL_S = 0.25
HEAD_BYTES = 4096
ACTOR = b":actor_name:"
"""Ray writes whose output it is at the top of each worker's files."""
MODEL = "model:"
CONTROLLER = "ServeController"
INGEST = "IngestWorker"
REPLICA = "ServeReplica:"


@app.command(epilog="Example: manta logs --part model:starter -n 100 -f")
def logs(
    part: Annotated[
        list[str] | None, typer.Option(help="postgres, valkey, ray, ingress, model:NAME, ...; may be repeated.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many last lines of each file.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the logs of parts; without --part, list the parts that have some."""
    layout = Installation(config, data_dir).layout
    found = files_by_part(layout)
    if not part:
        rows = [_row(name, files) for name, files in sorted(found.items())]
        listing(rows, ["part", "size", "newest"], as_json=as_json, empty=f"There are no logs in {layout.data_dir} yet.")
        return
    chosen = [file for name in part for file in _files(found, name)]
    for file in chosen:
        _head(file, many=len(chosen) > 1)
        typer.echo("".join(f"{line}\n" for line in last_lines(file, lines)), nl=False)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(chosen)


def files_by_part(layout: Layout) -> dict[str, list[Path]]:
    """Every part's log files, oldest first. Ray's are of the last run only: each run has a session of its own."""
    session = layout.ray / "session_latest" / "logs"
    found: dict[str, list[Path]] = {}
    for file in sorted([*_in(layout.logs), *_in(session), *_in(session / "serve")], key=_changed):
        name = _part_of(file)
        if name is not None and file.stat().st_size:
            found.setdefault(name, []).append(file)
    return found


def last_lines(file: Path, count: int) -> Sequence[str]:
    """The end of a file."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        return [line.rstrip("\n") for line in deque(stream, maxlen=count)]


def _part_of(file: Path) -> str | None:
    """The part that wrote a file, by its name, and for Ray's workers by its first lines."""
    stem = file.name.partition(".")[0]
    known = {"postgres": "postgres", "valkey": "valkey", "seed": "schema", "ray": "ray", "launcher": "launcher"}
    if stem in known:
        return known[stem]
    if stem in ("gcs_server", "raylet"):
        return "ray"
    if stem.startswith("controller_"):
        return "controller"
    if stem.startswith("replica_"):
        return _application(stem.removeprefix("replica_"))
    return _of_worker(file) if stem.startswith("worker-") else None


def _application(text: str) -> str:
    """`model-starter_replica_1ab5ps9g` and `ServeReplica`'s `model-starter:replica` as `model-starter`."""
    name = text.partition(":")[0] if ":" in text else text.rsplit("_", 2)[0]
    return f"{MODEL}{name.removeprefix(APP_PREFIX)}" if name.startswith(APP_PREFIX) else name


def _of_worker(file: Path) -> str | None:
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if ACTOR not in head:
        return None
    actor = head.partition(ACTOR)[2].partition(b"\n")[0].decode("utf-8", "replace").strip()
    if actor.startswith(REPLICA):
        return _application(actor.removeprefix(REPLICA))
    return {CONTROLLER: "controller", INGEST: "ingest"}.get(actor)


def _files(found: dict[str, list[Path]], part: str) -> list[Path]:
    """The files of a part; a model goes by its public name.

    Raises:
        NotFound: it has none.
    """
    name = f"{MODEL}{app_name(part.removeprefix(MODEL)).removeprefix(APP_PREFIX)}" if part.startswith(MODEL) else part
    if name not in found:
        known = ", ".join(sorted(found)) or "none yet"
        raise NotFound(f"there are no logs of {part!r}; parts that have some: {known}")
    return found[name]


def _follow(files: Sequence[Path]) -> None:
    """Print what is added, until Ctrl-C."""
    with contextlib.ExitStack() as stack:
        streams = [(file, stack.enter_context(file.open(encoding="utf-8", errors="replace"))) for file in files]
        for _, stream in streams:
            stream.seek(0, os.SEEK_END)
        spoke = files[-1]
        while True:
            for file, stream in streams:
                if text := stream.read():
                    _head(file, many=len(files) > 1 and file != spoke)
                    typer.echo(text, nl=False)
                    spoke = file
            time.sleep(POLL_S)


def _head(file: Path, *, many: bool) -> None:
    if many:
        typer.echo(f"==> {file} <==")


def _row(name: str, files: Sequence[Path]) -> dict[str, Any]:
    total = sum(file.stat().st_size for file in files)
    return {
        "part": name,
        "bytes": total,
        "size": size(total),
        "newest": str(files[-1]),
        "files": [str(file) for file in files],
    }


def _in(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else iter(())


def _changed(file: Path) -> float:
    return file.stat().st_mtime
