"""Cutting a text at the best places within a number of tokens, in linear time.

A tokenizer is handed in: it takes text and returns the (start, end) character offsets of its tokens, in order. Headings
and pages are not known here, only how good a place is to cut at.
"""

import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Tokenize = Callable[[str], Sequence[tuple[int, int]]]

INSIDE, TOKEN, WORD, SENTENCE, LINE, BLOCK, HEADING = range(7)
"""How good a place is to cut at, worst first; INSIDE is in the middle of a letter."""

SLICE_CHARACTERS = 64 * 1024
WORDS = re.compile(r"\S+")
FULL_STOPS = re.compile("[。！？](?=[^\\s。！？」』）])")
ENDS = tuple(stop + close for stop in ".!?。！？…" for close in ("", '"', "'", ")", "”", "’", "»", "」", "』"))


@dataclass(frozen=True, slots=True)
class Cut:
    """How to cut: `size` tokens at most, the last `overlap` of them again in the next span, `slack` of them given away
    for a better place."""

    size: int
    overlap: int
    slack: int


def places(text: str) -> dict[int, int]:
    """Offset of each word -> how good a place it is to cut at, as far as the letters tell."""
    found = {match.start() + 1: SENTENCE for match in FULL_STOPS.finditer(text)}
    end = 0
    for word in WORDS.finditer(text):
        start = word.start()
        if text.find("\n", end, start) >= 0:
            found[start] = LINE
        else:
            found[start] = SENTENCE if text.endswith(ENDS, 0, end) else WORD
        end = word.end()
    return found


def spans(text: str, tokenize: Tokenize, cut: Cut, found: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Spans in order that together hold everything of `text` that is not space at its ends; `found` is of `places`."""
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    if first >= last:
        return
    starts, ranks = _tokens(text, tokenize, found)
    for begin, end in _ranges(len(starts), ranks, cut):
        start = first if begin == 0 else starts[begin]
        stop = last if end == len(starts) else starts[end]
        start += _spaces(text, start, stop)
        if filled := len(text[start:stop].rstrip()):
            yield start, start + filled


def _spaces(text: str, start: int, stop: int) -> int:
    part = text[start:stop]
    return len(part) - len(part.lstrip())


def _tokens(text: str, tokenize: Tokenize, found: Mapping[int, int]) -> tuple["array[int]", bytearray]:
    """Where each token's first letter stands, and how good a place that is."""
    starts, ranks = array("q"), bytearray()
    ended = seen = -1
    for offset, part in _slices(text):
        for begin, end in tokenize(part):
            start = offset + begin
            while start < offset + end and text[start].isspace():
                start += 1
            rank = found.get(start, TOKEN) if start > seen and offset + begin >= ended else INSIDE
            if rank == TOKEN and (start >= len(text) or unicodedata.combining(text[start])):
                rank = INSIDE
            starts.append(min(start, len(text)))
            ranks.append(rank)
            seen, ended = max(start, seen), max(offset + end, ended)
    return starts, ranks


def _slices(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces that end with a line, or with a word: no tokenizer gets a whole book at once."""
    start = 0
    while start < len(text):
        end = start + SLICE_CHARACTERS
        if end < len(text):
            breaks = (text.rfind("\n", start, end), text.rfind(" ", start, end))
            end = next((place for place in breaks if place > start), end)
        yield start, text[start:end]
        start = end


def _ranges(count: int, ranks: bytearray, cut: Cut) -> Iterator[tuple[int, int]]:
    """Token ranges. Each ends at least half of `size - overlap` after the one before it, hence linear time."""
    begin = end = 0
    while begin + cut.size < count:
        earliest = max(begin + max(cut.size - cut.slack, cut.overlap + 1), end + max(1, (cut.size - cut.overlap) // 2))
        end = _best(ranks, earliest, begin + cut.size)
        yield begin, end
        begin = _best_first(ranks, end - cut.overlap, end - cut.overlap // 2)
    yield begin, count


def _best(ranks: bytearray, low: int, high: int) -> int:
    """The best place from `low` to `high`; of equal ones the last."""
    part = ranks[low : high + 1]
    return low + part.rfind(max(part))


def _best_first(ranks: bytearray, low: int, high: int) -> int:
    part = ranks[low : high + 1]
    return low + part.find(max(part))
