"""Tell which keys below a value are wrong, from inside a pydantic validator.

A plain `ValueError` there knows one message and the place of the whole value; these know the key.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from configs.suggest import Sentence

CODE = "faults"
SUMMARIZED = 3
Path = tuple[str | int, ...]


class Fault(NamedTuple):
    """What is wrong and where, counted from the value that is validated. `on_key`: the key itself, not its value."""

    path: Path
    message: str | Sentence
    on_key: bool = False


def refuse(faults: Iterable[Fault]) -> None:
    """Raise all faults as one pydantic error; `configs.problems` takes them apart again. No fault, no error."""
    found = list(faults)
    if found:
        summary = "; ".join(str(fault.message) for fault in found[:SUMMARIZED])
        raise PydanticCustomError(CODE, "{summary}", {"summary": summary, CODE: found})
