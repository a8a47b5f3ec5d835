"""The text that `starter` learns: conversations made from the YAML files beside this one.

A conversation is what a chat template takes: messages and, at times, tools. It knows no tokenizer.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from finetune.starter import tools

HERE = Path(__file__).parent
ABOUT = [
    "what is {}",
    "what is {}?",
    "tell me about {}",
    "explain {}",
    "{}",
    "what does {} mean",
    "what do you know about {}",
]
TO = ["how do I {}", "how can I {}", "how to {}", "I want to {}", "can I {}", "show me how to {}", "what do I do to {}"]
FRAMES = [
    "{}",
    "{}",
    "{}",
    "{}",
    "please, {}",
    "{} please",
    "hi, {}",
    "hello, {}",
    "ok, {}",
    "{}, please",
    "so {}",
    "and {}",
]
SYSTEM = [
    "You are a helpful assistant.",
    "You are starter, the small model of Manta.",
    "You help people to use Manta. Be short.",
    "Answer in one sentence.",
    "Be friendly.",
]
TYPO_SHARE, SYSTEM_SHARE, TOOLS_SHARE, UNUSED_TOOLS_SHARE = 0.08, 0.15, 0.45, 0.06
MADE_UP_SHARE, LOWER_SHARE = 0.5, 0.15
ECHO = ["say {}", "repeat {}", "repeat after me: {}", "please say {}", "write {}", "just say {}"]
MOST_WORDS = 5
TURNS = [1, 1, 1, 2, 2, 3]

Message = dict[str, Any]
Exchange = tuple[str, str]


@dataclass
class Conversation:
    """What the chat template is rendered with."""

    messages: list[Message]
    tools: list[dict[str, Any]] = field(default_factory=list)


def read(name: str) -> Any:  # noqa: ANN401  whatever the file holds
    """One of the YAML files of this folder."""
    return yaml.safe_load((HERE / name).read_text("utf-8"))


def conversations(seed: int) -> Iterator[Conversation]:
    """An endless stream; the same for the same seed."""
    yield from Author(random.Random(seed)).write()


@cache
def known() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Questions and answers of everything that the model knows, one pair of tuples per fact."""
    facts = [(_questions(fact), tuple(fact["say"])) for fact in read("facts.yaml")]
    return facts + [(tuple(talk["ask"]), tuple(talk["say"])) for talk in read("small_talk.yaml")["talk"]]


def _questions(fact: dict[str, list[str]]) -> tuple[str, ...]:
    made = [form.format(topic) for topic in fact.get("about", ()) for form in ABOUT]
    made += [form.format(task) for task in fact.get("to", ()) for form in TO]
    return (*fact.get("ask", ()), *made)


class Author:
    """Draws conversations from one source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._unknown = read("small_talk.yaml")["unknown"]
        self._tools = tools.ToolBox(read("tools.yaml"), chance)
        self._kinds: list[tuple[float, Callable[[], Exchange]]] = [
            (0.6, self._fact),
            (0.2, self._beyond),
            (0.2, self._echo),
        ]

    def write(self) -> Iterator[Conversation]:
        """Conversations without end."""
        while True:
            yield self._with_tools() if self._happens(TOOLS_SHARE) else self._talk()

    def _talk(self) -> Conversation:
        messages = self._opening()
        for _ in range(self._chance.choice(TURNS)):
            messages += self._turn()
        unused = self._tools.some() if self._happens(UNUSED_TOOLS_SHARE) else []
        return Conversation(messages, unused)

    def _with_tools(self) -> Conversation:
        use = self._tools.use()
        messages = self._opening() + (self._turn() if self._happens(0.2) else [])
        messages += [{"role": "user", "content": self._framed(use.question)}, use.call]
        if self._happens(0.7):
            messages += [use.result, {"role": "assistant", "content": use.answer}]
            messages += self._turn() if self._happens(0.3) else []
        return Conversation(messages, use.tools)

    def _opening(self) -> list[Message]:
        return [{"role": "system", "content": self._chance.choice(SYSTEM)}] if self._happens(SYSTEM_SHARE) else []

    def _turn(self) -> list[Message]:
        shares, kinds = zip(*self._kinds, strict=True)
        (kind,) = self._chance.choices(kinds, shares)
        question, answer = kind()
        return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def _fact(self) -> Exchange:
        questions, answers = self._chance.choice(known())
        return self._spoken(self._chance.choice(questions)), self._chance.choice(answers)

    def _beyond(self) -> Exchange:
        made_up = self._happens(MADE_UP_SHARE)
        thing = tools.made_up(self._chance) if made_up else self._chance.choice(self._unknown["things"])
        question = self._chance.choice(self._unknown["ask"]).format(thing=thing)
        return self._framed(question), self._chance.choice(self._unknown["say"]).format(thing=thing)

    def _echo(self) -> Exchange:
        """Copying: what a call of a tool, and a quotation, are made of."""
        words = " ".join(tools.made_up(self._chance) for _ in range(self._chance.randint(1, MOST_WORDS)))
        return self._framed(self._chance.choice(ECHO).format(words)), words

    def _spoken(self, question: str) -> str:
        """The same question as people type it."""
        text = self._misspelt(question) if self._happens(TYPO_SHARE) else question
        return self._framed(text.lower() if self._happens(LOWER_SHARE) else text)

    def _framed(self, question: str) -> str:
        """The same words in a sentence: what is to be copied stays as it is."""
        text = question if "please" in question else self._chance.choice(FRAMES).format(question)
        text = text[:1].upper() + text[1:] if self._happens(0.5) else text
        return text if text.endswith("?") else text + self._chance.choice(["", "?", "?", ".", "!"])

    def _misspelt(self, text: str) -> str:
        place = self._chance.randrange(len(text))
        return (
            text[:place]
            + self._chance.choice(["", text[place] * 2, text[place + 1 : place + 2] + text[place]])
            + text[place + 1 :]
        )

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share
