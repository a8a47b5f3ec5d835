"""The words of a command line as flags: `Qwen/Qwen3-0.6B --max-model-len 2048 --dtype float16 --enforce-eager`.

What each flag's value may be follows from its place in the configuration, so vLLM's flags need no list of their own.
Does not know which flags exist: `configs.flags` says what is unknown and what was probably meant.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from configs import engine_args, overrides
from configs.environment import Variable
from configs.errors import ConfigurationError
from configs.flags import FLAGS
from configs.origin import Origin, Spot
from configs.problems import Refused, as_error
from configs.tree import Path, plain, steps

TRUTH = {"true": True, "false": False}
OFF = "no_"


class Arguments(NamedTuple):
    """The words that stood alone, and the flags with their values."""

    words: tuple[str, ...]
    flags: dict[str, Any]


def parse(tokens: Sequence[str]) -> Arguments:
    """`--name value`, `--name=value`, `--switch` and `--no-switch`, in any order.

    Raises:
        ConfigurationError: a flag lacks its value, or its value cannot be read.
    """
    words: list[str] = []
    flags: dict[str, Any] = {}
    left = list(tokens)
    while left:
        token = left.pop(0)
        if not token.startswith("-"):
            words.append(token)
            continue
        written, _, text = token.partition("=")
        name = written.lstrip("-").replace("-", "_")
        if "=" in token:
            flags[name] = read(written, name, text)
        elif takes_none(name):
            flags[name.removeprefix(OFF) if switch(name.removeprefix(OFF)) else name] = _truth(name, left)
        elif left:
            flags[name] = read(written, name, left.pop(0))
        else:
            raise ConfigurationError(f"flag {written}: it needs a value, for example {written}=...")
    return Arguments(tuple(words), flags)


def read(written: str, name: str, text: str) -> Any:  # noqa: ANN401  what YAML can hold
    """A flag's text as the value that its place holds.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return plain(overrides.value_of(Variable(name, text, Spot(Origin("flag", f"flag {written}"))), place(name)))
    except Refused as refused:
        raise as_error([refused.problem]) from refused
    except LookupError as error:
        raise ConfigurationError(f"flag {written}: {error.args[0]}") from error


def place(name: str) -> Path:
    """Where a flag's value ends up; an engine argument under the first model, which has the same shape as all."""
    if "." in name:
        return steps(name.split("."))
    return FLAGS.get(name) or ("model_list", 0, "engine", name)


def takes_none(name: str) -> bool:
    """Whether the flag stands without a value."""
    return switch(name) or (name.startswith(OFF) and switch(name.removeprefix(OFF)))


def switch(name: str) -> bool:
    """Whether it is one of vLLM's that are true or false and nothing else."""
    argument = engine_args.known().get(name)
    return argument is not None and set(argument.types) - {"null"} == {"boolean"}


def _truth(name: str, left: list[str]) -> bool:
    """`--switch` alone, or followed by true or false."""
    if not switch(name):
        return False
    if left and left[0].lower() in TRUTH:
        return TRUTH[left.pop(0).lower()]
    return True
