"""Read the configuration once: flags over environment over `.env` over YAML over defaults.

    catalog = load(path, flags)
    catalog.configuration.general_settings.port
    catalog.origins["general_settings.port"].place      # "configs/manta.yaml:12"

Every problem is reported at once, each with its place. Knows no command line: flags come as a mapping.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs import flags as command_line
from configs import overrides
from configs.environment import DOTENV, Variables, from_file, from_process
from configs.errors import ModelNotFound
from configs.frozen import FrozenDict
from configs.origin import Origin
from configs.origins import origins_of
from configs.problems import Problem, Refused, as_error, from_pydantic, lines
from configs.settings import Settings
from configs.settings import read as read_settings
from configs.shape import leaf_at, takes_null
from configs.specs import Configuration, ModelSpec
from configs.tree import Node, plain
from configs.tree import Path as Steps
from configs.yaml_source import is_clean, read_file

PACKAGED = "manta.yaml"


@dataclass(frozen=True, slots=True)
class Catalog:
    """The validated configuration, the settings, and where each leaf came from (dotted path to origin)."""

    configuration: Configuration
    settings: Settings
    origins: Mapping[str, Origin]

    def model(self, name: str) -> ModelSpec:
        """The model that answers to `name`; for an adapter's name the model that carries it.

        Raises:
            ModelNotFound: no model of the file has that name.
        """
        for spec in self.configuration.model_list:
            if name == spec.model_name or any(adapter.name == name for adapter in spec.adapters):
                return spec
        message = f"The model {name!r} does not exist."
        raise ModelNotFound(message, param="model")


def load(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = DOTENV,
) -> Catalog:
    """The configuration, read and checked.

    `path` (else `MANTA_CONFIG`, else the packaged file) is the YAML; `flags` see `configs.flags`; `environ` stands for
    the process's environment; `env_file` is `.env` in the working directory if there is one, None reads none.

    Raises:
        ConfigurationError: one line per problem, `place: what is wrong`.
    """
    catalog, problems = examine(path, flags, environ, env_file)
    if catalog is None:
        raise as_error(problems)
    return catalog


def validate(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = DOTENV,
) -> list[str]:
    """The problems that `load` would raise, none for a good configuration."""
    catalog, problems = examine(path, flags, environ, env_file)
    return [] if catalog else lines(problems)


def examine(
    path: Path | None, flags: Mapping[str, Any] | None, environ: Mapping[str, str] | None, env_file: Path | None
) -> tuple[Catalog | None, list[Problem]]:
    """The catalog, or None with every problem."""
    problems: list[Problem] = []
    try:
        levels: list[Variables] = [from_process(environ), from_file(env_file)]
    except Refused as refused:
        return None, [refused.problem]
    settings, places, found = read_settings(levels)
    problems += found
    try:
        root = _read_yaml(path or _named_by(levels))
    except Refused as refused:
        return None, [*problems, refused.problem]
    root = _overlay(root, levels, flags or {}, problems)
    configuration = _checked(root, problems)
    if problems or configuration is None or settings is None:
        return None, problems
    return Catalog(configuration, settings, FrozenDict({**origins_of(configuration, root), **places})), []


def _named_by(levels: list[Variables]) -> Path | None:
    named = next((level["MANTA_CONFIG"] for level in levels if "MANTA_CONFIG" in level), None)
    return Path(named.text) if named and is_clean(named.text) else None


def _read_yaml(path: Path | None) -> Node:
    if path is not None:
        return read_file(path)
    with as_file(files("configs").joinpath(PACKAGED)) as packaged:
        return read_file(packaged, f"configs/{PACKAGED}")


def _overlay(root: Node, levels: list[Variables], flags: Mapping[str, Any], problems: list[Problem]) -> Node:
    root = _without_nulls(root, ())
    for variables in reversed(levels):
        problems += overrides.strangers(variables)
        root = overrides.apply(root, variables, problems)
    return _without_nulls(command_line.apply(root, flags, problems), ())


def _without_nulls(node: Node, path: Steps) -> Node:
    """Sections and lists that are written but left empty (`engine:` with every line commented out) are not there."""
    if isinstance(node.value, dict):
        kept = {key: _without_nulls(item, (*path, key)) for key, item in node.value.items()}
        return Node({key: item for key, item in kept.items() if not _is_empty(item, (*path, key))}, node.spot, node.key)
    if isinstance(node.value, list):
        return Node(
            [_without_nulls(item, (*path, index)) for index, item in enumerate(node.value)], node.spot, node.key
        )
    return node


def _is_empty(node: Node, path: Steps) -> bool:
    return node.value is None and leaf_at(path) in ("mapping", "list") and not takes_null(path)


def _checked(root: Node, problems: list[Problem]) -> Configuration | None:
    """Validated as JSON in strict mode: a number in quotes is text, a path or a tuple is still what JSON can hold."""
    try:
        return Configuration.model_validate_json(json.dumps(plain(root)), strict=True)
    except ValidationError as error:
        problems += from_pydantic(error, root)
        return None
