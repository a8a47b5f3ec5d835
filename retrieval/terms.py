"""The words of a text, as lexical search compares them. It knows no index and no language.

NFKC and case folding, then runs of letters, digits and marks; an apostrophe inside a word stays. Scripts that are
written without spaces (and Hangul, whose particles stick to their words) become pairs of neighbours, as Lucene's CJK
analyser has them. There is no stemming: vectors find other forms of a word, and a stemmer is right in one language.
"""

import re
import unicodedata
from collections.abc import Iterator

LONGEST = 64
"""Characters of a term; what is longer is no word, and is cut."""
_LAST_MARK = 0x1F000
_MARKS = "".join(char for char in map(chr, range(0x300, _LAST_MARK)) if unicodedata.category(char).startswith("M"))
_PLAIN = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
"""`_WORD` for lower ASCII, which most text is: several times as quick."""
_WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}]|'(?=[^\W_]))*")
_PAIRED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]+"
)


def terms(text: str) -> list[str]:
    """Terms in their order, repeated as often as they stand there; none is empty or holds white space."""
    if text.isascii():
        return [word[:LONGEST] for word in _PLAIN.findall(text.lower())]
    return [term for word in _WORD.findall(folded(text)) for term in _parts(word)]


def folded(text: str) -> str:
    """One spelling for what a reader takes as equal: Unicode's NFKC of the case-folded NFKC, straight apostrophes."""
    once = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return unicodedata.normalize("NFKC", once)


def _parts(word: str) -> Iterator[str]:
    place = 0
    for run in _PAIRED.finditer(word):
        yield from _whole(word[place : run.start()])
        yield from _pairs(run.group())
        place = run.end()
    yield from _whole(word[place:])


def _whole(word: str) -> Iterator[str]:
    if word := word.strip("'"):
        yield word[:LONGEST]


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for place in range(len(run) - 1):
        yield run[place : place + 2]
