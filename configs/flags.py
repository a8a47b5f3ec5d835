"""Command line flags laid over everything else.

    flag                         sets
    --host, --port, ...          the key of the same name (`FLAGS`)
    --max-model-len, ...         the engine argument of the one chat model
    MODEL                        the one chat model to serve, in place of the file's chat models
    --general_settings.port      any key by its dotted path

Flags arrive as a mapping of names (`max_model_len` or `max-model-len`) to values; None is a flag that was not given.
"""

import os
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any

from configs import engine_args
from configs.origin import Origin, Spot
from configs.problems import Problem
from configs.shape import keys_at
from configs.suggest import did_you_mean
from configs.tree import Node, Path, assign, scalars, steps, wrap
from configs.yaml_source import is_clean

MODEL = "model"
FLAGS: Mapping[str, Path] = {
    **{name: ("general_settings", name) for name in keys_at(("general_settings",))},
    **{name: ("ingress", name) for name in keys_at(("ingress",))},
}


def apply(root: Node, flags: Mapping[str, Any], problems: list[Problem]) -> Node:
    """`root` with the flags laid over it."""
    given = {name.lstrip("-").replace("-", "_"): value for name, value in flags.items() if value is not None}
    if MODEL in given:
        root = serve_only(root, str(given.pop(MODEL)), problems)
    for name, value in given.items():
        spot = Spot(Origin("flag", f"flag --{name if '.' in name else name.replace('_', '-')}"))
        try:
            root = assign(root, _path(root, name), _node(value, spot))
        except LookupError as error:
            problems.append(Problem(spot, str(error.args[0])))
    return root


def _node(value: object, spot: Spot) -> Node:
    node = wrap(_plain(value), spot)
    for _, leaf in scalars(node):
        known = leaf.value is None or isinstance(leaf.value, bool | int | float | str)
        if not known or (isinstance(leaf.value, float) and not isfinite(leaf.value)):
            raise LookupError("its value is nothing that YAML could hold")
        if isinstance(leaf.value, str) and not is_clean(leaf.value):
            raise LookupError("its value is not UTF-8 text")
    return node


def _path(root: Node, name: str) -> Path:
    if name in FLAGS:
        return FLAGS[name]
    if "." in name:
        return steps(name.split("."))
    if name not in engine_args.known():
        known = [f"--{flag.replace('_', '-')}" for flag in (*FLAGS, *engine_args.allowed())]
        raise LookupError("this flag is not known" + did_you_mean(f"--{name}", known))
    chats = [index for index, entry in enumerate(models(root)) if is_chat(entry)]
    if len(chats) != 1:
        message = f"it needs exactly one chat model to apply to, and there are {len(chats)}; name one as MODEL"
        raise LookupError(message)
    return ("model_list", chats[0], "engine", name)


def serve_only(root: Node, model: str, problems: list[Problem]) -> Node:
    """The tree whose only chat model is `model`: an entry of that name if there is one, else a new one."""
    spot = Spot(Origin("flag", "argument MODEL"))
    if not is_clean(model) or not model.strip():
        problems.append(Problem(spot, "it must name a model: a configured name, a folder or a hub id"))
        return root
    entries = models(root)
    chosen = next((entry for entry in entries if is_chat(entry) and field(entry, "model_name") == model), None)
    others = [entry for entry in entries if not is_chat(entry)]
    whole = wrap(entry_for(model), spot) if chosen is None else chosen
    rest = dict(root.value) if isinstance(root.value, dict) else {}
    return Node({**rest, "model_list": Node([whole, *others], spot, spot)}, root.spot, root.key)


def entry_for(model: str) -> dict[str, Any]:
    """A vLLM entry for a hub id (`Qwen/Qwen3-0.6B`), a folder (named by its last part) or a bundled name."""
    if model.startswith(("/", "./", "../", "~")):
        folder = os.path.abspath(os.path.expanduser(model))  # noqa: PTH100, PTH111  (as the shell would: no link followed)
        return {"model_name": PurePath(folder).name, "params": {"model": f"vllm/{folder}"}}
    source = model.removeprefix("vllm/")
    return {"model_name": source, "params": {"model": f"vllm/{source}"}}


def models(root: Node) -> list[Node]:
    """The entries of the model list, as far as it is one."""
    node = root.value.get("model_list") if isinstance(root.value, dict) else None
    return list(node.value) if node is not None and isinstance(node.value, list) else []


def is_chat(entry: Node) -> bool:
    """Whether an entry is a chat model, which is what it is when it does not say."""
    return field(entry, "kind") in (None, "chat")


def field(entry: Node, name: str) -> object:
    """The plain value of one key of an entry, None without it."""
    node = entry.value.get(name) if isinstance(entry.value, dict) else None
    return node.value if node is not None else None


def _plain(value: object) -> object:
    """Paths, enums and tuples as the YAML would hold them."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
