"""Jupyter notebooks: the pages and the code in their order, with what the code said; pictures are left out."""

import json
import re
from collections.abc import Iterator
from typing import Any

from retrieval.documents import Document, Piece, invalid, joined
from retrieval.encodings import decode
from retrieval.format import Format, Source
from retrieval.markup import pieces
from retrieval.parsers.json import parse as parse_json
from retrieval.parsers.markdown import structured

EMBEDDED = re.compile(r"data:[\w.+-]{1,40}/[\w.+-]{1,80};base64,[A-Za-z0-9+/=]+")
"""A picture that stands in a cell as letters."""
COLOURS = re.compile(r"\x1b\[[\d;]{0,40}[A-Za-z]")
PICTURE = "image/"
SAID = ("text/markdown", "text/plain", "text/html")
Cell = dict[str, Any]


def create() -> Format:
    """By suffix: it is JSON."""
    return Format(frozenset({".ipynb"}), parse)


def parse(source: Source) -> Document:
    """A cell after the other, as formats 3 and 4 have them; what has none is read as any JSON."""
    try:
        notebook = json.loads(decode(source.data))
    except json.JSONDecodeError as error:
        raise invalid(f"The notebook is broken: see line {error.lineno}. Save it again.") from error
    cells = list(_cells(notebook)) if isinstance(notebook, dict) else []
    if not cells:
        return parse_json(source)
    found = [piece for cell in cells for piece in _pieces(cell)]
    title = next((piece.text.strip("# \n") for piece in found if piece.kind == "heading" and piece.level == 1), "")
    return joined(found, source.limits, title)


def _cells(notebook: dict[str, Any]) -> Iterator[Cell]:
    for sheet in [notebook, *_objects(notebook.get("worksheets"))]:
        yield from _objects(sheet.get("cells"))


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _pieces(cell: Cell) -> Iterator[Piece]:
    kind, text = cell.get("cell_type"), _text(cell.get("source", cell.get("input")))
    if kind == "markdown":
        yield from structured(text).pieces()
    elif kind == "heading":
        yield Piece(" ".join(text.split()), "heading", level if isinstance(level := cell.get("level"), int) else 1)
    else:
        yield Piece(text, "code" if kind == "code" else "text")
        for output in _objects(cell.get("outputs")):
            yield from _said(output)


def _said(output: dict[str, Any]) -> Iterator[Piece]:
    """What an output has in words; `<Figure ...>` stands for a picture, and says nothing."""
    if output.get("output_type") in {"error", "pyerr"}:
        yield Piece(f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}", "code")
        return
    if "text" in output:  # what was printed; in format 3 any text
        yield Piece(_text(output["text"]), "code")
    data = output.get("data")
    if not isinstance(data, dict) or any(str(name).startswith(PICTURE) for name in data):
        return
    name = next((each for each in SAID if each in data), None)
    if name == "text/html":
        yield from pieces(_text(data[name]))[1]
    elif name is not None:
        yield Piece(_text(data[name]), "text" if name == "text/markdown" else "code")


def _text(value: object) -> str:
    """Lines as a terminal shows them: without colours, and of a line that was written over its last state."""
    whole = "".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else ""
    plain = COLOURS.sub("", EMBEDDED.sub("", whole)).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in plain.split("\n"))
