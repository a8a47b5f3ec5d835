"""What searches find, for tests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """As `agent.sources.Passage`."""

    text: str
    start: int = 0
    file_id: str = "file-1"
    filename: str = "handbook.pdf"
    chunk_id: int = 1
    page: int | None = None
    headings: tuple[str, ...] = ()
    vector_store_id: str = "vs_1"
    pages: tuple[tuple[int, int | None], ...] = ()
    table_head: str | None = None


def cut(document: str, *spans: tuple[int, int], file_id: str = "file-1") -> list[Found]:
    """Chunks of a document, in the order given."""
    return [Found(document[start:end], start, file_id, chunk_id=number) for number, (start, end) in enumerate(spans, 1)]
