"""Whatever stands in the file or the flags: a catalog or a ConfigurationError, nothing else."""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.catalog import load
from configs.errors import ConfigurationError
from configs.specs import Configuration, GeneralSettings, ModelSpec

MARKS = [*"[]{},:-?&*!|>'\"#%@`~\n\t\0\x85", "- ", ": ", "\n  ", "\n    ", "&a ", "*a", "<<: ", "!!str ", "...", "---"]
LINES = ["model_list: ", "model_name: a", "params: ", "{model: vllm/a}", "engine: ", "kind: chat", "port: 8000"]
VALUES = ["autoscaling: ", "general_settings: ", "min_replicas: -1", "null", "true", ".inf", "1e999", "\\0", "\u00e9"]
TEXTS = st.lists(st.sampled_from([*MARKS, *LINES, *VALUES]), max_size=60)
KEYS = st.sampled_from([*Configuration.model_fields, *ModelSpec.model_fields, *GeneralSettings.model_fields, "model"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)


def lists_and_mappings(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | KEYS, inner, max_size=5)


SHAPES = st.recursive(SCALARS, lists_and_mappings, max_leaves=30)
FLAGS = st.dictionaries(st.text(max_size=8) | st.sampled_from(["port", "model", "seed"]), SHAPES, max_size=2)
some = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(path: Path, flags: dict[str, object] | None = None, environ: dict[str, str] | None = None) -> str:
    """What loading ends in; any other exception fails the test."""
    try:
        load(path, flags, environ or {}, env_file=None)
    except ConfigurationError as error:
        return error.message
    return "a catalog"


@given(raw=st.binary(max_size=300) | TEXTS.map(lambda words: "".join(words).encode()))
@some
def test_random_bytes(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "random.yaml"
    path.write_bytes(raw)

    assert outcome(path)


@given(shape=SHAPES, flags=FLAGS)
@some
def test_random_values(shape: object, flags: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "random.yaml"
    path.write_text(json.dumps(shape), encoding="utf-8")

    assert outcome(path, flags)


@given(
    steps=st.lists(
        st.sampled_from(["MODEL_LIST", "0", "1", "ENGINE", "GENERAL_SETTINGS", "PORT", "", "x"]), max_size=5
    ),
    value=st.text(max_size=20) | TEXTS.map("".join),
)
@some
def test_random_variables(steps: list[str], value: str, tmp_path: Path) -> None:
    path = tmp_path / "random.yaml"
    path.write_text("model_list: [{model_name: a, params: {model: vllm/a}}]\n")

    assert outcome(path, environ={"__".join(["MANTA", *steps]): value})
