"""Jupyter notebooks."""

from json import dumps

import pytest

from retrieval.documents import Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import notebook


def test_pictures_and_progress_are_left_out() -> None:
    document = parse(notebook().data, "sales.ipynb", Limits())
    assert document.title == "Sales"
    assert not any(word in document.text for word in ("iVBOR", "Figure", "10 %\r", "<b>", "long", "\x1b"))
    assert [block.kind for block in document.blocks] == ["heading", "text", "code", "code", "code", "code", "text"]


def test_the_former_format_and_what_has_no_cells() -> None:
    cells = [
        {"cell_type": "heading", "source": ["Old"], "level": 2},
        {"cell_type": "code", "input": "f()", "outputs": [{"output_type": "pyout", "text": ["7"], "png": "iVBOR"}]},
    ]
    old = parse(dumps({"worksheets": [{"cells": cells}]}).encode(), "a.ipynb", Limits())
    assert [(piece.level, piece.text) for piece in old.pieces()] == [(2, "Old"), (0, "f()"), (0, "7")]
    assert parse(b'{"a": 1}', "a.ipynb", Limits()).text == "a: 1"


def test_a_cut_one_names_the_line() -> None:
    with pytest.raises(Unreadable) as caught:
        parse(b'{"cells": [\n', "a.ipynb", Limits())
    assert "line 2" in caught.value.message
