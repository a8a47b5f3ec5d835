import io
import json
from typing import Any

import pytest
from rich.console import Console

from api.cli.output import coloured, listing, size, table

ROWS: list[dict[str, Any]] = [
    {"name": "a [b]", "state": "ready", "tags": ["x", "y"], "more": 1},
    {"name": "c" * 150, "state": None},
]
COLUMNS = ["name", "state", "tags"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"), (0, "0"), (False, "False"), ("ready", "[green]ready[/green]"), ("failed", "[red]failed[/red]"),
        ("starting", "[yellow]starting[/yellow]"), ("a [b]", r"a \[b]"), (["x", 1], "x, 1"), ([], ""), ("", ""),
    ],
)  # fmt: skip
def test_a_cell_is_coloured_by_its_word(value: Any, cell: str) -> None:
    assert coloured(value) == cell


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536 * 1024, "2 MiB"),
        (2**30, "1.0 GiB"),
        (5 * 2**40, "5120.0 GiB"),
    ],
)
def test_bytes_have_the_unit_that_fits(count: float, text: str) -> None:
    assert size(count) == text


def test_a_table_shows_the_columns_asked_for() -> None:
    console = Console(file=io.StringIO(), width=300)
    console.print(table(ROWS, COLUMNS, title="all of them"))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[0] == "all of them"
    assert lines[1].split() == COLUMNS
    assert lines[2].split(maxsplit=3) == ["a", "[b]", "ready", "x, y"]
    assert lines[3].split() == ["c" * 150, "-", "-"]


def test_a_listing_for_programs_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    listing(ROWS, COLUMNS, as_json=True, empty="none")
    assert json.loads(capsys.readouterr().out) == ROWS
    listing([], COLUMNS, as_json=True, empty="none")
    assert json.loads(capsys.readouterr().out) == []


def test_a_listing_for_people_wraps_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    listing(ROWS, COLUMNS, as_json=False, empty="none")
    assert "c" * 150 in capsys.readouterr().out
    listing([], COLUMNS, as_json=False, empty="there are none")
    assert capsys.readouterr().out == "there are none\n"
