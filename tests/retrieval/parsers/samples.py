"""One file of each format, made by the library that people make them with, and what must be found in it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A file, and texts that stand in it in this order."""

    filename: str
    data: bytes
    texts: tuple[str, ...]


def text() -> Sample:
    return Sample(
        "notes.txt", "First line\nsecond.\n\n\nAnother – ü.\n".encode(), ("First line\nsecond.", "Another – ü.")
    )


def markdown() -> Sample:
    page = "# Guide\n\nWords *here*.\n\n```py\n# no heading\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSub\n---\nEnd.\n"
    return Sample("guide.md", page.encode(), ("Guide", "Words", "# no heading", "| 1 | 2 |", "Sub", "End."))


def code() -> Sample:
    source = "import os\n\n\ndef one():\n    return 1\n\n    # more\n\n\nclass Two:\n    pass\n"
    return Sample("tool.py", source.encode(), ("import os", "def one", "# more", "class Two"))


def html() -> Sample:
    page = (
        "<!doctype html><title>T &amp; t</title><script>evil()</script><h1>Head <b>line</b></h1><div>loose<p>a<br>b"
        "</div><pre>x\n  y</pre><table><tr><th>k<th>v<tr><td>1<td>2</table><p hidden>unseen</p>tail"
    )
    return Sample("page.html", page.encode(), ("Head line", "loose", "a\nb", "x\n  y", "k | v\n1 | 2", "tail"))


def json() -> Sample:
    data = b'[{"name":"Ada","score":1.10,"tags":["x\\u00e9",true,null]},{"name":"Bob","big":123456789012345678901}]'
    return Sample(
        "people.json", data, ("[0].name: Ada", "[0].score: 1.10", "[0].tags[0]: xé", "[1].big: 123456789012345678901")
    )


def csv() -> Sample:
    return Sample("people.csv", b'name;age\n"Lovelace; Ada";36\n', ("name | age", "Lovelace; Ada | 36"))


SAMPLES: dict[str, Callable[[], Sample]] = {
    "text": text, "markdown": markdown, "code": code, "html": html, "json": json, "csv": csv,
}  # fmt: skip
