"""Questions whose answer is known: made of a docstring's first sentence, of another sentence of it, or of its name.

What a question is made of is taken out of the text beside it (the inverse cloze task; Lee, Chang and Toutanova,
arXiv:1906.00300), mostly: so a model has to learn more than that the same words stand on both sides.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune.reranker.passages import SHORTEST, Passage

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"'(])|\n\s*\n|\n(?=\s*[-*:>#=.]|.*:$)")
FEWEST_WORDS, MOST_WORDS = 4, 22
KEPT_IN_TEXT = 0.3
"""Share of the questions whose sentence also stays where it stood, as an exact quote would."""
DROPPED_WORD = 0.12
NAMED, SPELT = 0.3, 0.3
"""Share of the passages that are asked for by name, and of the names that stay as the code spells them."""
LEFT_AS_IT_IS, MARKED = 0.2, 0.5
"""Share of the sentences that become no question, and of those without a template that get its mark."""
MARKUP = re.compile(r":\w+:`~?([^`]*)`|`+([^`]*)`+|\*\*([^*]*)\*\*|[|_]{2,}|>>>.*")
WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]+(?![a-z])|\d+")
VERBS = {
    "return": ("How do I get", "How can I get", "Which function returns"),
    "compute": ("How do I compute", "How is it computed:", "calculate"),
    "create": ("How do I create", "How can I make", "creating"),
    "construct": ("How do I create", "Building"),
    "get": ("How do I get", "Where do I find", "getting"),
    "set": ("How do I set", "setting", "Where is it set:"),
    "check": ("How do I check", "How can I tell", "checking"),
    "test": ("How do I test", "How can I tell"),
    "convert": ("How do I convert", "How can I turn", "converting"),
    "raised": ("Why is an error raised", "What does it mean if it is raised"),
    "call": ("When is it called:", "How do I call"),
    "apply": ("How do I apply", "applying"),
    "read": ("How do I read", "reading"),
    "write": ("How do I write", "writing"),
    "load": ("How do I load", "loading"),
    "parse": ("How do I parse", "parsing"),
    "generate": ("How do I generate", "generating"),
    "add": ("How do I add", "adding"),
    "remove": ("How do I remove", "How can I get rid of"),
    "find": ("How do I find", "Where is"),
    "wrapper": ("Is there a wrapper", "What wraps"),
}
OPENINGS = ("How do I", "How can I", "What does it take to", "Is there a way to", "How to", "I want to")
THINGS = ("What is", "Where do I find", "Is there", "What is meant by", "I need", "")
NAMES = ("What is {}?", "How does {} work?", "{}", "What is {} for?", "How do I use {}?", "documentation of {}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the text that answers it, which is of passage number `place`."""

    question: str
    answer: str
    place: int


def asked(passages: list[Passage], seed: int) -> Iterator[Asked]:
    """Up to three of each passage, the same for the same seed."""
    chance = random.Random(seed)
    for place, passage in enumerate(passages):
        sentences = [part for part in SENTENCE.split(passage.text) if part and part.strip()]
        if len(sentences) > 1:
            yield from _of_sentence(chance, passage, sentences[0], place, questioned(chance, sentences[0]))
            body = [each for each in sentences[1:] if prose(each)]
            if body:
                chosen = chance.choice(body)
                yield from _of_sentence(chance, passage, chosen, place, noisy(chance, plain(chosen)))
        words = WORD.findall(passage.name)
        if len(words) > 1 and chance.random() < NAMED:
            name = passage.name if chance.random() < SPELT else " ".join(words).lower()
            yield Asked(chance.choice(NAMES).format(name), passage.text, place)


def questioned(chance: random.Random, sentence: str) -> str:
    """A statement as somebody would ask for it."""
    text = noisy(chance, plain(sentence))
    first, _, rest = text.partition(" ")
    stem = first.lower().removesuffix("s") if first.lower() not in {"address"} else first.lower()
    if chance.random() < LEFT_AS_IT_IS or not rest:
        return text
    if stem in VERBS:
        return f"{chance.choice(VERBS[stem])} {rest}?"
    if first[:1].isupper() and re.match(r"(a|an|the|this)$", first.lower()):
        return f"{chance.choice(THINGS)} {first.lower()} {rest}?".strip()
    if re.match(r"(to|of|for|in|from|by|with|the|a|an|and|all|it)\b", rest):
        return f"{chance.choice(OPENINGS)} {stem} {rest}?"
    return f"{text}?" if chance.random() < MARKED else text


def noisy(chance: random.Random, text: str) -> str:
    """The first MOST_WORDS words, some of them dropped."""
    words = text.split()[:MOST_WORDS]
    kept = [word for word in words if chance.random() >= DROPPED_WORD]
    return " ".join(kept if len(kept) >= FEWEST_WORDS else words)


def plain(sentence: str) -> str:
    """Without markup, on one line, without the full stop."""
    return " ".join(MARKUP.sub(lambda found: " ".join(each or "" for each in found.groups()), sentence).split()).strip(
        " .:"
    )


def prose(sentence: str) -> bool:
    """Whether it is a sentence that tells something by itself."""
    words = plain(sentence).split()
    return FEWEST_WORDS < len(words) <= 2 * MOST_WORDS and sum(word.isalpha() for word in words) > 0.6 * len(words)


def _of_sentence(chance: random.Random, passage: Passage, sentence: str, place: int, question: str) -> Iterator[Asked]:
    if not prose(sentence):
        return
    left = passage.text if chance.random() < KEPT_IN_TEXT else passage.text.replace(sentence, "", 1).strip()
    if len(left) >= SHORTEST // 2:
        yield Asked(question, left, place)
