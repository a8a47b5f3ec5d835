"""HTML to pieces: what a reader of the page sees, in its order. What a page loads or runs is dropped, never fetched."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from retrieval.documents import Kind, Piece, row

DROPPED = frozenset(
    ("script", "style", "template", "noscript", "svg", "math", "head", "iframe", "object", "nav", "select", "datalist")
)
BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li",
        "main", "ol", "optgroup", "p", "section", "summary", "table", "tbody", "tfoot", "thead", "ul",
    )
)  # fmt: skip
HEADINGS = {f"h{level}": level for level in range(1, 7)}
TEXT, BREAK, CELL = "-text", "br", ("td", "th")


@dataclass
class _Reader:
    """Walks the tree with a list of its own: a page may be nested deeper than Python's stack."""

    page: int | None
    found: list[Piece] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def read(self, root: LexborNode) -> None:
        waiting: list[LexborNode | None] = [root]
        while waiting:
            node = waiting.pop()
            if node is None:  # a block ends
                self.end()
            elif node.tag == TEXT:
                self.words.append(node.text_content or "")
            elif not _hidden(node):
                self.enter(node, waiting)

    def enter(self, node: LexborNode, waiting: list[LexborNode | None]) -> None:
        tag = node.tag or ""
        if tag in HEADINGS:
            self.whole(" ".join(node.text(deep=True).split()), "heading", HEADINGS[tag])
        elif tag == "pre":
            self.whole(node.text(deep=True), "code")
        elif tag == "table" and not node.css_matches("table table, :has(table)"):
            self.whole("\n".join(_rows(node)), "table")
        elif tag == BREAK:
            self.words.append("\n")
        else:
            if tag in BLOCKS or tag in CELL or tag == "tr":
                self.end()
                waiting.append(None)
                self.words.append("- " if tag == "li" else "")
            waiting.extend(reversed(_children(node)))

    def whole(self, text: str, kind: Kind, level: int = 0) -> None:
        self.end()
        self.found.append(Piece(text, kind, level, self.page))

    def end(self) -> None:
        lines = (" ".join(line.split()) for line in _unbroken(self.words))
        text = "\n".join(line for line in lines if line)
        self.words.clear()
        if text and text != "-":
            self.found.append(Piece(text, page=self.page))


def pieces(html: str, page: int | None = None) -> tuple[str, list[Piece]]:
    """The page's title and its pieces."""
    tree = LexborHTMLParser(html)
    reader = _Reader(page)
    if tree.body is not None:
        reader.read(tree.body)
        reader.end()
    title = tree.css_first("title")
    return title.text(strip=True) if title is not None else "", reader.found


def _unbroken(words: list[str]) -> Iterator[str]:
    """Lines end at `<br>` only, where `words` has a line end of its own."""
    line: list[str] = []
    for word in words:
        if word == "\n":
            yield "".join(line)
            line.clear()
        else:
            line.append(word.replace("\n", " "))
    yield "".join(line)


def _children(node: LexborNode) -> list[LexborNode]:
    found, child = [], node.first_child
    while child is not None:
        found.append(child)
        child = child.next
    return found


def _hidden(node: LexborNode) -> bool:
    return node.tag in DROPPED or (node.tag or "-").startswith("-") or "hidden" in node.attributes


def _rows(table: LexborNode) -> Iterator[str]:
    for each in table.css("tr"):
        yield row(cell.text(deep=True, separator=" ") for cell in each.css("td, th"))
