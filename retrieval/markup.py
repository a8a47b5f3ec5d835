"""HTML to pieces: what a reader of the page sees, in its order. What a page loads or runs is dropped, never fetched."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from retrieval.documents import Kind, Piece, row

DROPPED = frozenset(
    ("script", "style", "template", "noscript", "svg", "head", "iframe", "object", "nav", "select", "datalist")
)
BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li",
        "main", "ol", "optgroup", "p", "section", "summary", "table", "tbody", "tfoot", "thead", "ul",
    )
)  # fmt: skip
HEADINGS = {f"h{level}": level for level in range(1, 7)}
TEXT, BREAK, FORMULA, CELL = "-text", "br", "math", ("td", "th")
SEPARATE = BLOCKS | {*CELL, *HEADINGS, "pre", "tr"}
WRITTEN = 'annotation[encoding="application/x-tex"]'
BETWEEN = {"msup": "^", "msub": "_", "mfrac": "/"}
ANCHORS = frozenset("¶#§🔗")
"""What a heading shows to be linked to."""


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
            elif node.tag == FORMULA:
                self.words.append(_formula(node))
            elif not _hidden(node):
                self.enter(node, waiting)

    def enter(self, node: LexborNode, waiting: list[LexborNode | None]) -> None:
        tag = node.tag or ""
        if tag in HEADINGS:
            self.whole(_line(node), "heading", HEADINGS[tag])
        elif tag == "pre":
            self.whole(_flat(node, "\n"), "code")
        elif tag == "table" and not node.css_matches("table table, :has(table)"):
            self.end()
            self.found += [Piece(_line(each), page=self.page) for each in node.css("caption") if not _hidden(each)]
            self.whole("\n".join(_rows(node)), "table")
        elif tag == BREAK:
            self.words.append("\n")
        else:
            if tag in SEPARATE:
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
    tag, attributes = node.tag or "-", node.attributes
    if tag in DROPPED or tag.startswith("-") or "hidden" in attributes:
        return True
    if tag == "span":  # what is drawn again beside its words, as formulas are
        return attributes.get("aria-hidden") == "true"
    return tag == "a" and (attributes.get("href") or "").startswith("#") and node.text().strip() in ANCHORS


def _flat(root: LexborNode, edge: str) -> str:
    """All that is seen in an element, with `edge` where a block in it begins or ends."""
    words: list[str] = []
    waiting: list[LexborNode | str] = list(reversed(_children(root)))
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            words.append("" if node == edge and (not words or words[-1].endswith(edge)) else node)
        elif node.tag == TEXT:
            words.append(node.text_content or "")
        elif node.tag == BREAK:
            words.append("\n")
        elif node.tag == FORMULA:
            words.append(_formula(node))
        elif not _hidden(node):
            edges = [edge] if node.tag in SEPARATE else []
            waiting += [*edges, *reversed(_children(node)), *edges]
    return "".join(words)


def _line(node: LexborNode) -> str:
    return " ".join(_flat(node, " ").split())


def _formula(math: LexborNode) -> str:
    """As its author wrote it, else its signs."""
    annotation = math.css_first(WRITTEN)
    written = math.attributes.get("alttext") or (annotation.text() if annotation is not None else "")
    return " ".join((written or "".join(_signs(math))).split())


def _signs(math: LexborNode) -> Iterator[str]:
    waiting: list[LexborNode | str] = [math]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif node.tag == TEXT:
            yield (node.text_content or "").strip()
        elif not (node.tag or "").startswith(("annotation", "-")):
            inside: list[LexborNode | str] = list(_children(node))
            if node.tag in BETWEEN and len(parts := [each for each in _children(node) if each.tag != TEXT]) > 1:
                inside = [parts[0], BETWEEN[node.tag], *parts[1:]]
            waiting.extend(reversed(inside))


def _rows(table: LexborNode) -> Iterator[str]:
    for each in table.css("tr"):
        if not _hidden(each):
            yield row(_flat(cell, " ") for cell in each.css("td, th") if not _hidden(cell))
