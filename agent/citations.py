"""From an answer's text to its citations: which numbers stand where, and which sentence of the source is meant.

A quote is a part of its document: `document.text[quote_start:quote_end] == quote`. A number without a source is text.
"""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from agent.sources import Passage, Source
from retrieval.spans import LINE, SENTENCE, places
from retrieval.terms import terms

MARKER = re.compile(r"\[\d{1,3}(?: ?, ?\d{1,3}){0,15}\](?!\()")
"""`[1]` or `[1, 3]`, and no link."""
NUMBER = re.compile(r"\d+")
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.S)
"""Where brackets are indexes."""
ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
STEM = 5
"""Characters of a word that tell it from others: a simple stemmer that needs to know no language."""
SHORT, SHORT_WEIGHT = 3, 0.25
"""Latin words of so few letters are mostly articles and prepositions."""
MOST = 512
"""Citations of one answer; a model that repeats itself has more."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker, `answer[start:end]`, with what it points to; `page` is the one on which the quote begins."""

    start: int
    end: int
    source: Source
    passage: Passage
    page: int | None
    quote: str
    quote_start: int
    quote_end: int


class Citing:
    """The citations of an answer that arrives in pieces."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._quotable = {source.number: _Quotable(source) for source in sources}
        self._parts: list[str] = []

    def add(self, text: str) -> None:
        """The answer goes on."""
        self._parts.append(text)

    def citations(self) -> list[Citation]:
        """Those of the text until now, in its order."""
        text = "".join(self._parts)
        found = [(match, number) for match in _markers(text) for number in self._numbers(match)][:MOST]
        claims = _Claims(text) if found else None
        return [self._citation(match, number, claims.of(match)) for match, number in found] if claims else []

    def _numbers(self, marker: re.Match[str]) -> list[int]:
        numbers = dict.fromkeys(map(int, NUMBER.findall(marker[0])))
        return [number for number in numbers if number in self._quotable]

    def _citation(self, marker: re.Match[str], number: int, claim: str) -> Citation:
        quotable = self._quotable[number]
        source = quotable.source
        start, end = quotable.best(claim)
        quote = source.text[start - source.start : end - source.start]
        passage, page = source.passage_at(start, end), source.page_at(start)
        return Citation(marker.start(), marker.end(), source, passage, page, quote, start, end)


def _markers(text: str) -> Iterator[re.Match[str]]:
    code = [match.span() for match in CODE.finditer(text)]
    begins = [start for start, _ in code]
    for match in MARKER.finditer(text):
        before = bisect_right(begins, match.start()) - 1
        if before < 0 or match.start() >= code[before][1]:
            yield match


class _Claims:
    """The sentences of an answer, without markers."""

    def __init__(self, text: str) -> None:
        self._text = MARKER.sub(lambda found: " " * len(found[0]), text)
        self._spans = sentences(self._text)
        self._starts = [start for start, _ in self._spans]

    def of(self, marker: re.Match[str]) -> str:
        """The sentence that a marker stands in or behind; the one that follows where it begins a line."""
        if not self._spans:
            return ""
        at = bisect_right(self._starts, marker.start()) - 1
        after = self._starts[at + 1] if at + 1 < len(self._starts) else None
        begins_line = at < 0 or "\n" in self._text[self._spans[at][1] : marker.start()]
        if begins_line and after is not None and "\n" not in self._text[marker.end() : after]:
            at += 1
        start, end = self._spans[max(at, 0)]
        return self._text[start:end]


class _Quotable:
    """A source whose sentences can be compared with claims."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._spans: list[tuple[int, int]] = []
        self._terms: list[Collection[str]] = []
        self._weights: dict[str, float] = {}
        self._best: dict[str, tuple[int, int]] = {}

    def best(self, claim: str) -> tuple[int, int]:
        """Where in the document the sentence stands that says most of the claim; all of the source if none does."""
        if claim not in self._best:
            self._best[claim] = self._compared(claim)
        return self._best[claim]

    def _compared(self, claim: str) -> tuple[int, int]:
        if not self._spans:
            self._read()
        said = stems(claim)
        scores = [self._score(said, each) for each in self._terms]
        best = max(range(len(scores)), key=scores.__getitem__, default=None)
        if best is None or not scores[best]:
            passage = self.source.first
            return passage.start, passage.start + len(passage.text)
        start, end = self._spans[best]
        return self.source.start + start, self.source.start + end

    def _read(self) -> None:
        self._spans = sentences(self.source.text)
        self._terms = [stems(self.source.text[start:end]) for start, end in self._spans]
        seen = Counter(term for each in self._terms for term in each)
        count = len(self._terms)
        self._weights = {term: math.log1p(count / times) * _weight(term) for term, times in seen.items()}

    def _score(self, said: set[str], sentence: Collection[str]) -> float:
        """The cosine of both over rare words, up to a factor that all sentences share."""
        shared = sum(self._weights[term] ** 2 for term in sentence if term in said)
        return shared / math.sqrt(sum(self._weights[term] ** 2 for term in sentence)) if shared else 0.0


def stems(text: str) -> set[str]:
    """The beginnings of a text's words; ASCII takes a short way to the same."""
    words = ASCII_WORD.findall(text.lower()) if text.isascii() else terms(text)
    return {word[:STEM] for word in words}


def _weight(term: str) -> float:
    return SHORT_WEIGHT if len(term) <= SHORT and term.isascii() and term.isalpha() else 1.0


def sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences and lines of a text stand, without the space around them."""
    found = places(text)
    starts = [start for start, rank in sorted(found.items()) if rank in (SENTENCE, LINE)]
    first = len(text) - len(text.lstrip())
    starts = [first, *(start for start in starts if start > first)]
    spans = [
        (start, start + len(text[start:end].rstrip()))
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
    ]
    return [(start, end) for start, end in spans if end > start]
