import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from configs import engine_args
from scripts.configuration_page import page
from scripts.schema import PAGE, SCHEMA, build, render
from tests.configs.conftest import Load

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / PAGE).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads((ROOT / SCHEMA).read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_schema_is_current() -> None:
    assert (ROOT / SCHEMA).read_text(encoding="utf-8") == render(build()), "run: python -m scripts.schema"


def test_the_page_is_current() -> None:
    current = (ROOT / PAGE).read_text(encoding="utf-8")

    assert current == page(current), "run: python -m scripts.schema"


def test_the_page_keeps_what_is_written_by_hand() -> None:
    current = (ROOT / PAGE).read_text(encoding="utf-8")
    edited = page(f"{current.replace('# Configuration', '# Setup')}\nThe end.\n")

    assert edited == current.replace("# Configuration", "# Setup") + "\nThe end.\n"


def test_the_packaged_file_fits(validator: Draft202012Validator) -> None:
    content = yaml.safe_load((ROOT / "configs/manta.yaml").read_bytes())

    assert list(validator.iter_errors(content)) == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page_load(example: str, validator: Draft202012Validator, catalog_of: Load) -> None:
    assert list(validator.iter_errors(yaml.safe_load(example))) == []
    assert catalog_of(example).configuration.model_list


def model(**keys: Any) -> dict[str, Any]:
    return {"model_list": [{"model_name": "m", "params": {"model": "vllm/m"}, **keys}]}


@pytest.mark.parametrize(
    "content",
    [
        {"ingres": {}},
        {"general_settings": {"port": 70000}},
        model(engine={"max_modl_len": 1}),
        model(kind="chat", engine={"trust_remote_code": True}),
        model(engine={"dtype": "float15"}),
        model(engine={"seed": "1"}),
        model(kind="embedding", engine={"max_model_len": 1}),
        model(kind="rerank", engine={"normalize": True}),
        model(model_name=""),
    ],
)
def test_the_schema_refuses_what_the_catalog_refuses(content: dict[str, Any], validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(content))


@pytest.mark.parametrize(
    "content",
    [
        {},
        model(engine={"max_model_len": 1, "dcp_comm_backend": None}),
        model(kind="embedding", engine={"normalize": False, "threads": None}),
        model(params={"model": "other/m"}, engine={"anything": 1}),
    ],
)
def test_the_schema_takes_what_the_catalog_takes(
    content: dict[str, Any], validator: Draft202012Validator, catalog_of: Load
) -> None:
    assert list(validator.iter_errors(content)) == []
    catalog_of(json.dumps(content))


def test_engine_keys_carry_their_help() -> None:
    keys = build()["$defs"]["ChatEngine"]["properties"]

    assert set(keys) == set(engine_args.allowed())
    assert keys["max_model_len"]["description"] == "Model context length (prompt and output)"
