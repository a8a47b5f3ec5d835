"""What the tests of the configuration share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from configs.catalog import Catalog, load, validate

MODEL = """\
model_list:
  - model_name: one
    params: {model: vllm/one}
"""

Write = Callable[[str], Path]
Load = Callable[..., Catalog]
Problems = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a YAML file and return its path."""

    def write_file(text: str) -> Path:
        path = tmp_path / "manta.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def catalog_of(write: Write) -> Load:
    """Load a YAML text with nothing from the machine's own environment."""

    def load_text(text: str, *, env_file: Path | None = None, **levels: Mapping[str, Any]) -> Catalog:
        return load(write(text), levels.get("flags"), levels.get("environ", {}), env_file)

    return load_text


@pytest.fixture
def problems_of(write: Write) -> Problems:
    """The problems of a YAML text, the folder of the file cut off."""

    def check_text(text: str, *, env_file: Path | None = None, **levels: Mapping[str, Any]) -> list[str]:
        path = write(text)
        found = validate(path, levels.get("flags"), levels.get("environ", {}), env_file)
        return [line.replace(f"{path.parent}/", "") for line in found]

    return check_text
