"""Real text that is on every machine: the descriptions of installed packages, and questions about them.

The packages are pinned, so the text is the same everywhere; it is read from where it lies and never copied.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import yaml

QUESTIONS = Path(__file__).parent / "questions.yaml"
SHORTEST = 500
"""Characters; what is shorter only says where the documentation is."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document: its package, and its text as the package's author wrote it."""

    package: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """`package` and `answer` (text of that document, spaces aside) are None where no document answers."""

    question: str
    package: str | None
    answer: str | None

    def answered_by(self, package: str, text: str) -> bool:
        """Whether this text holds the answer."""
        return self.answer is not None and package == self.package and squeezed(self.answer) in squeezed(text)


def sources() -> Iterator[Source]:
    """All documents, by name; of a package that is installed twice, the one that Python finds first."""
    found: dict[str, str] = {}
    for each in distributions():
        description = each.metadata.json.get("description")
        if isinstance(description, str) and len(description) >= SHORTEST:
            found.setdefault(each.name, description)
    for name in sorted(found, key=str.lower):
        yield Source(name, found[name])


def questions() -> list[Question]:
    """Those of `questions.yaml`."""
    return [Question(**each) for each in yaml.safe_load(QUESTIONS.read_text("utf-8"))]


def squeezed(text: str) -> str:
    """With one space wherever there is space."""
    return " ".join(text.split())
