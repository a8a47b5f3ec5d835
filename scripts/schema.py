"""Write `configs/schema.json` (for editors) and the generated part of `docs/configuration.md`.

python -m scripts.schema [--check]
"""

import json
import sys
from typing import Any

from configs import engine_args
from configs.specs import Configuration, EmbeddingEngine, Kind, RerankEngine
from scripts.configuration_page import page
from scripts.written import read, write

SCHEMA = "configs/schema.json"
PAGE = "docs/configuration.md"


def main() -> int:
    """Write or check both files."""
    return write({SCHEMA: render(build()), PAGE: page(read(PAGE))}, sys.argv[1:])


def render(schema: dict[str, Any]) -> str:
    """The schema as it is stored."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def build() -> dict[str, Any]:
    """The JSON Schema of the whole file; what `engine` may hold depends on the model's kind."""
    schema = Configuration.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Manta configuration"
    definitions = schema["$defs"]
    definitions["ChatEngine"] = chat_engine()
    for shape in (EmbeddingEngine, RerankEngine):
        definitions[shape.__name__] = shape.model_json_schema()
    model = definitions["ModelSpec"]
    model["properties"]["engine"] = {"description": model["properties"]["engine"]["description"], "type": "object"}
    model["allOf"] = [
        when_kind(Kind.EMBEDDING, "EmbeddingEngine"),
        when_kind(Kind.RERANK, "RerankEngine"),
        {"if": is_vllm_chat(), "then": engine_is("ChatEngine")},
    ]
    return schema


def when_kind(kind: Kind, definition: str) -> dict[str, Any]:
    """The engine keys of one kind of encoder."""
    return {
        "if": {"required": ["kind"], "properties": {"kind": {"const": kind.value}}},
        "then": engine_is(definition),
    }


def is_vllm_chat() -> dict[str, Any]:
    """A chat model (`kind` may be absent then) on vLLM."""
    source = {"type": "object", "properties": {"model": {"type": "string", "pattern": "^vllm/"}}, "required": ["model"]}
    return {"properties": {"kind": {"const": Kind.CHAT.value}, "params": source}, "required": ["params"]}


def engine_is(definition: str) -> dict[str, Any]:
    """`engine` has the shape of a definition."""
    return {"properties": {"engine": {"$ref": f"#/$defs/{definition}"}}}


def chat_engine() -> dict[str, Any]:
    """vLLM's arguments with their help lines."""
    return {
        "title": "ChatEngine",
        "description": "vLLM's own argument names",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: argument(name) for name in engine_args.allowed()},
    }


def argument(name: str) -> dict[str, Any]:
    """The schema of one argument."""
    known = engine_args.known()[name]
    schema: dict[str, Any] = {"description": known.help} if known.help else {}
    choices = [*engine_args.choices_of(name)]
    if choices:
        return {**schema, "enum": [*choices, None] if "null" in known.types else choices}
    return {**schema, "type": list(known.types)} if known.types else schema


if __name__ == "__main__":
    raise SystemExit(main())
