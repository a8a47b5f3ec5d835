from html.parser import HTMLParser
from typing import Any

from retrieval.evaluation import report

FOUND: dict[str, Any] = {
    "embedder": "e<", "reranker": None, "documents": 2, "chunks": 3, "answerable": 1, "max_tokens": 800,
    "overlap_tokens": 400,
    "rankers": [
        {
            "name": name, "ndcg@10": value, "mrr": value, "recall@1": value, "recall@5": value, "recall@10": value,
            "ms": 1.5, "answered_within": [value] * 20,
        }
        for name, value in (("lexical", 0.25), ("dense & more", 0.5))
    ],
    "questions": [{"question": "a <b>?", "package": "p", "places": {"lexical": None, "dense & more": 2}}],
}  # fmt: skip


class Seen(HTMLParser):
    """Which tags stand there, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name in {"src", "href"} for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_that_loads_nothing_and_escapes_what_it_shows() -> None:
    seen = Seen()
    seen.feed(report.page(FOUND))
    assert seen.tags.count("svg") == 2
    assert seen.tags.count("polyline") == 2
    assert not {"script", "link", "img", "b"} & set(seen.tags)
    for text in ("dense & more", "a <b>?", "embedder e<", "reranker none", "0.500", "1 questions"):
        assert text in seen.text


def test_bars_are_as_long_as_their_values() -> None:
    drawn = report.bars([("all", 1.0), ("half", 0.5)])
    room = report.WIDTH - report.LEFT - 60
    assert f"width={room:.1f}" in drawn
    assert f"width={room / 2:.1f}" in drawn
