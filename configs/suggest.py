"""Sentences for wrong names and values, which end in the name that was probably meant.

The search for that name costs milliseconds and a hostile file may hold thousands of wrong names, so it waits until the
sentence is printed (few are).
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

LONGEST_NAME = 80  # what is longer is no typo of ours, and difflib takes quadratic time
NEAR, NEARER = 0.6, 0.7  # ratios of difflib; short words meet by chance, so they must be nearer
SHORT = 4


class Sentence(NamedTuple):
    """A text, and the word in it that may be a misspelling of one of `known`."""

    text: str
    word: str = ""
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text + did_you_mean(self.word, self.known)


def closest(word: str, known: Iterable[str], cutoff: float | None = None) -> str | None:
    """The known name nearest to `word`, if one is near."""
    if not word or len(word) > LONGEST_NAME:
        return None
    by_plain_name = {name.lower().replace("-", "_"): name for name in known}
    near = cutoff or (NEARER if len(word) <= SHORT else NEAR)
    found = get_close_matches(word.lower().replace("-", "_"), by_plain_name, n=1, cutoff=near)
    return by_plain_name[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    match = closest(word, known)
    return f"; did you mean {match!r}?" if match else ""


def unknown(key: object, known: Iterable[str]) -> Sentence:
    """What to say of a key that nobody knows."""
    return Sentence(f"key {shorten(key)} is not known here", str(key), tuple(known))


def shorten(value: object, limit: int = LONGEST_NAME) -> str:
    """A value as a person wrote it, cut to a length that a message can bear."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[: limit * 2] if isinstance(value, str) else value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def any_of(words: list[str]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
