"""Numbered sources: what a search found, chunks of one document that overlap joined to one text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self


class Passage(Protocol):
    """A chunk that was found. `text` is its document's text from `start` on; `page` is the one that it begins on."""

    @property
    def vector_store_id(self) -> str:
        """The store that it was found in."""

    @property
    def file_id(self) -> str:
        """The file that it is of."""

    @property
    def filename(self) -> str:
        """That file's name."""

    @property
    def chunk_id(self) -> int | str:
        """Its number in the store."""

    @property
    def text(self) -> str:
        """The document's text from `start` on."""

    @property
    def start(self) -> int:
        """Where it begins in the document, in characters."""

    @property
    def page(self) -> int | None:
        """The page that it begins on, where there are pages."""

    @property
    def pages(self) -> Sequence[tuple[int, int | None]]:
        """Those that begin in it, each with where in the document; none where that is not known."""

    @property
    def headings(self) -> Sequence[str]:
        """Those it stands under, the outermost first."""

    @property
    def table_head(self) -> str | None:
        """The first row of the table that it begins in the middle of; no part of `text`."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a model sees under one number: `text` is the document's from `start` on, made of `passages` in its order."""

    number: int
    start: int
    text: str
    passages: tuple[Passage, ...]

    @property
    def end(self) -> int:
        """Where the text ends in its document."""
        return self.start + len(self.text)

    @property
    def first(self) -> Passage:
        """The passage it begins with."""
        return self.passages[0]

    def passage_at(self, start: int, end: int) -> Passage:
        """The last passage that holds this part of the document, else the one that holds the most of it."""
        return max(self.passages, key=lambda each: (_shared(each, start, end), each.start))

    def page_at(self, offset: int) -> int | None:
        """The page that a place of the text is on, as the last passage that holds it knows."""
        holding = [each for each in self.passages if each.start <= offset < each.start + len(each.text)]
        passage = max(holding, key=lambda each: each.start)
        turned = [page for start, page in passage.pages if start <= offset]
        return turned[-1] if turned else passage.page

    def joined(self, other: Self) -> "Source | None":
        """Both as one, if they overlap or touch in one document and agree where they do; the number is this one's."""
        first, last = (self, other) if self.start <= other.start else (other, self)
        if first.first.file_id != last.first.file_id or last.start > first.end:
            return None
        shared = min(first.end, last.end) - last.start
        if first.text[last.start - first.start :][:shared] != last.text[:shared]:
            return None  # read by another version of a parser
        passages = sorted((*self.passages, *other.passages), key=lambda each: each.start)
        return Source(self.number, first.start, first.text + last.text[first.end - last.start :], tuple(passages))


def sources_of(passages: Iterable[Passage]) -> list[Source]:
    """The sources of passages that come best first, numbered from 1; a joined one stands where its best part did."""
    made: list[Source] = []
    for passage in passages:
        made = _with(made, Source(0, passage.start, passage.text, (passage,)))
    return [Source(number, each.start, each.text, each.passages) for number, each in enumerate(made, 1)]


def _with(made: list[Source], new: Source) -> list[Source]:
    kept: list[Source] = []
    place = None
    for each in made:
        both = each.joined(new)
        if both is None:
            kept.append(each)
            continue
        new, place = both, len(kept) if place is None else place
    kept.insert(len(kept) if place is None else place, new)
    return kept


def _shared(passage: Passage, start: int, end: int) -> int:
    return min(end, passage.start + len(passage.text)) - max(start, passage.start)
