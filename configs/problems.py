"""One thing that is wrong with the configuration, and how all of them become one error.

Also the border where pydantic's errors become ours.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from configs.errors import ConfigurationError
from configs.faults import CODE, Fault
from configs.origin import Spot
from configs.shape import keys_at, section_of
from configs.suggest import Sentence
from configs.tree import Node, Path, find
from configs.wording import sentence

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence and the spot it is about."""

    spot: Spot
    message: str | Sentence

    def __str__(self) -> str:
        return f"{self.spot.where}: {self.message}"


class Refused(Exception):
    """A part of the configuration that could not be read at all; ends up as a `Problem` in the list."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def lines(problems: Iterable[Problem]) -> list[str]:
    """`place: what is wrong`, the file's problems first, in the order of the places; the first `SHOWN` of them."""
    ordered = sorted(problems, key=lambda each: (each.spot.origin.kind != "file", each.spot.line, each.spot.column))
    rest = [f"and {len(ordered) - SHOWN} more"] if len(ordered) > SHOWN else []
    return [str(problem) for problem in ordered[:SHOWN]] + rest


def as_error(problems: Iterable[Problem]) -> ConfigurationError:
    """One error that names every problem."""
    return ConfigurationError("\n".join(lines(problems)))


def from_pydantic(error: ValidationError, root: Node) -> Iterator[Problem]:
    """pydantic's errors with the spots that the tree remembers."""
    for fault in faults_of(error):
        yield Problem(spot_of(root, fault.path, on_key=fault.on_key), fault.message)


def explain_model(error: ValidationError) -> list[tuple[str, str]]:
    """The dotted path and the sentence for each error of a lone `ModelSpec`, for models that come by the API."""
    entry: Path = ("model_list", 0)
    return [(".".join(map(str, fault.path[2:])), str(fault.message)) for fault in faults_of(error, entry)][:SHOWN]


def faults_of(error: ValidationError, under: Path = ()) -> Iterator[Fault]:
    """pydantic's errors in our words; `under` is where the validated value stands in the configuration."""
    for each in error.errors(include_url=False):
        path: Path = (*under, *each["loc"])
        if each["type"] == CODE:
            for fault in each["ctx"][CODE]:
                yield fault._replace(path=(*path, *fault.path))
        else:
            yield Fault(path, _message({**each, "loc": path}), on_key=each["type"] == "extra_forbidden")


def _message(error: Mapping[str, Any]) -> str | Sentence:
    path: Path = error["loc"]
    known = keys_at(path[:-1])
    whole = sentence(error, known)
    section = section_of(path, known) if error["type"] == "extra_forbidden" else None
    return f"{whole.text}; it belongs under {section!r}" if section else whole


def spot_of(root: Node, path: Path, *, on_key: bool = False) -> Spot:
    """Where the value at `path` stands (or its key); what is missing is reported where its parent stands."""
    node, whole = find(root, path)
    if not whole and path:
        return node.key_spot
    return node.key_spot if on_key else node.spot
