"""The process environment and `.env`, as variables that know where they stand.

The only place of the project that reads `os.environ` for settings. It knows the names' grammar (`NAME`, `NAME_FILE`,
`MANTA__SECTION__KEY`), not their meaning.
"""

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from configs.origin import Origin, Spot
from configs.problems import Problem, Refused
from configs.yaml_source import MAX_BYTES

DOTENV = Path(".env")
FILE_SUFFIX = "_FILE"
MAX_SECRET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Variable:
    """A name with its text; never shown, because the text may be a secret."""

    name: str
    text: str
    spot: Spot

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, ..., {self.spot.where!r})"


Variables = Mapping[str, Variable]


def from_process(environ: Mapping[str, str] | None) -> dict[str, Variable]:
    """The environment's variables, empty ones left out (an empty variable counts as not set)."""
    given = os.environ if environ is None else environ
    return {
        name: Variable(name, text, Spot(Origin("environment", f"environment {name}")))
        for name, text in given.items()
        if text
    }


def from_file(path: Path | None) -> dict[str, Variable]:
    """The variables of an env file, empty ones left out; only the usual `.env` may be absent.

    Raises:
        Refused: it cannot be read or one of its lines is no assignment.
    """
    if path is None or (path == DOTENV and not path.exists()):
        return {}
    text = read_text(path, MAX_BYTES, Spot(Origin("dotenv", str(path))))
    return {variable.name: variable for variable in _assignments(text, str(path)) if variable.text}


def _assignments(text: str, name: str) -> Iterator[Variable]:
    for binding in parse_stream(io.StringIO(text)):
        before = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
        line = binding.original.line + before.count("\n")
        if binding.error:
            raise Refused(Problem(Spot(Origin("dotenv", f"{name}:{line}"), line), "this line is not NAME=value"))
        if binding.key:
            yield Variable(
                binding.key, binding.value or "", Spot(Origin("dotenv", f"{name}:{line} {binding.key}"), line)
            )


def read_text(path: Path, limit: int, spot: Spot) -> str:
    """A small UTF-8 file.

    Raises:
        Refused: it is missing, no file, too large or not UTF-8.
    """
    try:
        if not path.is_file():
            raise Refused(Problem(spot, f"there is no file {str(path)!r}"))
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise Refused(Problem(spot, f"cannot read {str(path)!r}: {reason}")) from error
    if len(raw) > limit:
        raise Refused(Problem(spot, f"the file {str(path)!r} is larger than {limit} bytes"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(Problem(spot, f"the file {str(path)!r} is not UTF-8 text")) from error


def secret(name: str, variables: Variables) -> Variable | None:
    """`NAME`, or the content of the file that `NAME_FILE` names, without the line end.

    Raises:
        Refused: both are set, or the file cannot be read or is empty.
    """
    direct, by_file = variables.get(name), variables.get(name + FILE_SUFFIX)
    if by_file is None:
        return direct
    if direct is not None:
        raise Refused(Problem(by_file.spot, f"{name} and {name}{FILE_SUFFIX} are both set; keep one"))
    text = read_text(Path(by_file.text), MAX_SECRET_BYTES, by_file.spot).rstrip("\r\n")
    if not text:
        raise Refused(Problem(by_file.spot, f"the file {by_file.text!r} is empty"))
    return Variable(name, text, by_file.spot)
