"""A model's YAML entry to vLLM's own argument objects.

The keys are vLLM's (`configs.catalog` has checked them), so this is a sorting of keys and a few defaults for machines
without a GPU. It does not start anything.
"""

import logging
import shutil
from dataclasses import fields
from typing import Any

from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import BaseFrontendArgs
from vllm.platforms import current_platform

from configs.specs import ModelSpec

log = logging.getLogger(__name__)

CPU_KV_CACHE_BYTES = 2**30
GRAMMARS = "xgrammar"
"""What `models.chat.grammar` tries grammars with. vLLM's "auto" may name a second one, which its engine ignores."""

FRONTEND_KEYS = {field.name for field in fields(BaseFrontendArgs)}


def engine_arguments(spec: ModelSpec, model: str) -> AsyncEngineArgs:
    """What the engine is started with; `model` is a folder or a hub id."""
    given = {key: value for key, value in spec.engine_arguments.items() if key not in FRONTEND_KEYS}
    if spec.adapters:
        given.setdefault("enable_lora", True)
        given.setdefault("max_loras", len(spec.adapters))
    if current_platform.is_cpu():
        given = cpu_defaults() | given
    given["structured_outputs_config"] = structured_outputs(given)
    return AsyncEngineArgs(model=model, served_model_name=[spec.model_name], **given)


def structured_outputs(given: dict[str, Any]) -> StructuredOutputsConfig:
    """The entry's settings; vLLM's argument object wants theirs and takes no mapping."""
    settings = given.get("structured_outputs_config", {}) | {"reasoning_parser": given.get("reasoning_parser", "")}
    return StructuredOutputsConfig(**({"backend": GRAMMARS} | settings))


def frontend_arguments(spec: ModelSpec) -> BaseFrontendArgs:
    """What vLLM's chat layer is built with: template, tool and reasoning parsers."""
    return BaseFrontendArgs(**{key: value for key, value in spec.engine_arguments.items() if key in FRONTEND_KEYS})


def cpu_defaults() -> dict[str, Any]:
    """Without a KV size the first engine takes most of the memory; without a compiler torch.compile fails late."""
    defaults: dict[str, Any] = {"kv_cache_memory_bytes": CPU_KV_CACHE_BYTES}
    if not any(shutil.which(compiler) for compiler in ("g++", "c++", "clang++")):
        log.warning("no C++ compiler was found: the engine runs with enforce_eager (slower); install g++ to compile")
        defaults["enforce_eager"] = True
    return defaults
