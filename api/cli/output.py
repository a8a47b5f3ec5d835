"""How listings are printed: a table for people, JSON for programs."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

STYLES = {
    "ok": "green", "ready": "green", "up": "green", "asleep": "green",
    "warn": "yellow", "starting": "yellow", "restarting": "yellow", "stopping": "yellow",
    "fail": "red", "failed": "red", "down": "red", "unreachable": "red", "absent": "red",
}  # fmt: skip
WIDTH_OF_A_FILE = 200
"""Where there is no terminal nothing is wrapped at 80."""


def console(*, stderr: bool = False) -> Console:
    """A console that colours for terminals only."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else WIDTH_OF_A_FILE)


def print_json(value: Any) -> None:  # noqa: ANN401  any JSON
    """JSON, indented, on standard output."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def listing(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Rows as JSON (whole) or as a table of `columns`; `empty` is said when there are none."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        typer.echo(empty)
    else:
        console().print(table(rows, columns))


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str | None = None) -> Table:
    """A table without walls."""
    made = Table(*columns, box=None, pad_edge=False, title=title, title_justify="left", header_style="bold")
    for row in rows:
        made.add_row(*(coloured(row.get(column)) for column in columns))
    return made


def coloured(value: Any) -> str:  # noqa: ANN401
    """A cell, in its colour where the word has one."""
    if value is None:
        return "-"
    text = escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))
    style = STYLES.get(text)
    return f"[{style}]{text}[/{style}]" if style else text


def size(count: float) -> str:
    """Bytes in the unit that fits."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


Say = Callable[[str], None]
