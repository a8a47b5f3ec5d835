"""The generated part of `docs/configuration.md`: one table per section, from the shapes' own descriptions."""

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from configs import engine_args
from configs.audit_specs import AuditSpec
from configs.identity_specs import IdentitySpec, SmtpSpec
from configs.ingest_specs import IngestActorOptions, IngestSpec
from configs.knowledge_specs import KnowledgeSpec
from configs.privacy_specs import ControllerSpec, PrivacySpec, RetentionSpec
from configs.provider_specs import ProviderSpec
from configs.refused import REFUSED, REFUSED_VALUES
from configs.scaling_specs import ActorOptions, Autoscaling
from configs.search_specs import SearchSpec
from configs.settings import SECRETS, Settings
from configs.shape import bare
from configs.specs import (
    Configuration,
    EmbeddingEngine,
    GeneralSettings,
    IngressSpec,
    LoraAdapter,
    ModelParams,
    ModelSpec,
    RerankEngine,
)

BEGIN = "<!-- begin: written by scripts/schema.py from the descriptions in configs/specs.py -->"
END = "<!-- end -->"

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", Configuration),
    ("`model_list[]`", ModelSpec),
    ("`model_list[].params`", ModelParams),
    ("`model_list[].autoscaling`, `search.autoscaling`", Autoscaling),
    ("`model_list[].ray_actor_options`, `search.ray_actor_options`", ActorOptions),
    ("`model_list[].adapters[]`", LoraAdapter),
    ("`model_list[].engine` of an embedding model", EmbeddingEngine),
    ("`model_list[].engine` of a rerank model", RerankEngine),
    ("`search`", SearchSpec),
    ("`ingest`", IngestSpec),
    ("`ingest.ray_actor_options`", IngestActorOptions),
    ("`knowledge`", KnowledgeSpec),
    ("`ingress`", IngressSpec),
    ("`identity`", IdentitySpec),
    ("`identity.smtp`", SmtpSpec),
    ("`identity.providers[]`", ProviderSpec),
    ("`privacy`", PrivacySpec),
    ("`privacy.controller`", ControllerSpec),
    ("`privacy.retention`", RetentionSpec),
    ("`audit`", AuditSpec),
    ("`general_settings`", GeneralSettings),
)

TYPES = {int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret text"}
LIMITS = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}", "max_length": "at most {} long"}


def page(current: str) -> str:
    """The page with its generated part renewed; what stands outside the marks is written by hand."""
    before, _, rest = current.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{generated()}\n\n{END}{after}" if rest else f"{BEGIN}\n\n{generated()}\n\n{END}\n"


def generated() -> str:
    """Everything between the marks."""
    parts = ["## Every key", *(section(title, shape) for title, shape in SECTIONS)]
    parts += ["## Environment only", environment(), "## `model_list[].engine` of a chat model", *chat_engine()]
    return "\n\n".join(parts)


def section(title: str, shape: type[BaseModel]) -> str:
    """One table with the shape's own sentence above it."""
    sentence = (shape.__doc__ or "").strip().replace("\n", " ")
    rows = [
        (f"`{name}`", type_of(field), default_of(field), meaning(field)) for name, field in shape.model_fields.items()
    ]
    return f"### {title}\n\n{sentence}\n\n{table(('key', 'type', 'default', 'meaning'), rows)}"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def meaning(field: FieldInfo) -> str:
    """The description; a field without one fails the page."""
    if not field.description:
        message = f"a field of type {field.annotation} has no description"
        raise ValueError(message)
    return field.description


def type_of(field: FieldInfo) -> str:
    """The type in words, with its limits."""
    limits = [
        text.format(f"{getattr(part, name):g}" if name != "max_length" else getattr(part, name))
        for part in field.metadata
        for name, text in LIMITS.items()
        if getattr(part, name, None) is not None
    ]
    return ", ".join([words(bare(field.annotation)), *limits])


def words(annotation: Any) -> str:  # noqa: ANN401  (an annotation is anything)
    """An annotation in words."""
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {words(get_args(annotation)[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{choice.value}`" for choice in annotation)
    if get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "mapping"
    return TYPES.get(annotation, "text")


def default_of(field: FieldInfo) -> str:
    """The default as YAML would write it."""
    if field.default is PydanticUndefined and field.default_factory is None:
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "unset"
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def environment() -> str:
    """The names that only the environment and `.env` hold."""
    rows = []
    for name, field in Settings.model_fields.items():
        upper = name.upper()
        names = f"`{upper}` or `{upper}_FILE`" if upper in SECRETS else f"`{upper}`"
        rows.append((names, type_of(field), default_of(field), meaning(field)))
    return table(("name", "type", "default", "meaning"), rows)


def chat_engine() -> Iterator[str]:
    """vLLM's arguments: those that may be set, those that may not."""
    yield "vLLM's own names, with its meanings and choices. Defaults are left to vLLM: some depend on the machine."
    rows = [(f"`{name}`", argument_type(name), engine_args.known()[name].help) for name in engine_args.allowed()]
    yield table(("key", "type", "meaning, in vLLM's words"), rows)
    yield "### Refused"
    yield "These names are vLLM's too, but this file does not take them:"
    refused: list[tuple[str, ...]] = [
        (f"`{name}`", refusal.reason, refusal.fix) for name, refusal in sorted(REFUSED.items())
    ]
    refused += [
        (f"`{name}: {value}`", *reason.split("; ", 1))
        for name, values in REFUSED_VALUES.items()
        for value, reason in values.items()
    ]
    yield table(("key", "why", "instead"), refused)


def argument_type(name: str) -> str:
    """The type of a vLLM argument in words."""
    if choices := engine_args.choices_of(name):
        return " or ".join(f"`{choice}`" for choice in choices)
    return (
        " or ".join(engine_args.TYPE_WORDS[kind] for kind in engine_args.known()[name].types if kind != "null") or "any"
    )
