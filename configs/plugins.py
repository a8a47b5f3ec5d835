"""The folder is the registry: a backend is a file with a top-level `create`, named by its file name.

Nothing but a file of the given package can be named, and a heavy library is imported when its backend is asked for.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from configs.errors import ConfigurationError


def available(package: str) -> list[str]:
    """Names of the backends in `package`, sorted; no file is imported."""
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    return sorted(path.stem for folder in folders for path in Path(folder).glob("*.py") if _is_backend(path))


def load(package: str, name: str) -> Callable[..., Any]:
    """The `create` of the backend `name`.

    Raises:
        ConfigurationError: the package has no backend of that name.
    """
    if name not in (names := available(package)):
        raise ConfigurationError(f"{package} has no backend {name!r}; available: {', '.join(names) or 'none'}")
    create: Callable[..., Any] = import_module(f"{package}.{name}").create
    return create


def _is_backend(path: Path) -> bool:
    tree = ast.parse(path.read_text("utf-8"), str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name == "create" for node in tree.body)
