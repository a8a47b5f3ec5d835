"""vLLM's own OpenAI layer, without its HTTP server: the classes that render prompts and shape answers.

Only these are built; vLLM's app with its many routes is not, so there is nothing of it to guard (docs/decisions/0004).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self

import orjson
from vllm.entrypoints.chat_utils import load_chat_template
from vllm.entrypoints.generate.base.protocol import RequestResponseMetadata
from vllm.entrypoints.launchers.cli_args import BaseFrontendArgs
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion
from vllm.entrypoints.openai.models.protocol import BaseModelPath, LoRAModulePath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.tokenize.serving import ServingTokenization
from vllm.renderers.online_renderer import OnlineRenderer

from configs.specs import ModelSpec
from models.chat.engine import PushEngine

ANSWER_KEYS = ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier")
CHOICE_KEYS = {"index", "message", "text", "logprobs", "finish_reason"}
MESSAGE_KEYS = {"role", "content", "refusal", "tool_calls", "reasoning", "annotations", "audio"}


@dataclass(frozen=True)
class Metered:
    """A stream of SSE text, with the usage that vLLM fills in when it ends."""

    events: AsyncIterator[str]
    metadata: RequestResponseMetadata


class StreamingChat(OpenAIServingChat):
    """vLLM's chat handler whose streams tell their usage."""

    def chat_completion_stream_generator(self, *args: Any, **kwargs: Any) -> Any:
        """See vLLM; the last positional argument is the metadata that receives the usage."""
        return Metered(super().chat_completion_stream_generator(*args, **kwargs), args[-1])


class StreamingCompletion(OpenAIServingCompletion):
    """vLLM's completion handler whose streams tell their usage."""

    def completion_stream_generator(self, *args: Any, request_metadata: Any, **kwargs: Any) -> Any:
        """See vLLM."""
        events = super().completion_stream_generator(*args, request_metadata=request_metadata, **kwargs)
        return Metered(events, request_metadata)


@dataclass(frozen=True)
class OpenAILayer:
    """The three handlers around one engine."""

    chat: StreamingChat
    completion: StreamingCompletion
    tokenization: ServingTokenization

    @classmethod
    async def build(cls, engine: PushEngine, spec: ModelSpec, front: BaseFrontendArgs) -> Self:
        """Build and warm up; loads the static adapters of `spec`."""
        models = OpenAIServingModels(
            engine_client=engine,
            base_model_paths=[BaseModelPath(name=spec.model_name, model_path=spec.params.source)],
            lora_modules=[LoRAModulePath(name=lora.name, path=str(lora.path)) for lora in spec.adapters],
        )
        await models.init_static_loras()
        template = load_chat_template(front.chat_template)
        reasoning = engine.vllm_config.structured_outputs_config.reasoning_parser
        shared: dict[str, Any] = {
            "request_logger": None,
            "chat_template": template,
            "chat_template_content_format": front.chat_template_content_format,
            "default_chat_template_kwargs": front.default_chat_template_kwargs,
        }
        tools: dict[str, Any] = {
            "enable_auto_tools": front.enable_auto_tool_choice,
            "exclude_tools_when_tool_choice_none": front.exclude_tools_when_tool_choice_none,
            "tool_parser": front.tool_call_parser,
            "reasoning_parser": reasoning,
        }
        renderer = OnlineRenderer(model_config=engine.model_config, renderer=engine.renderer, **shared, **tools)
        renderer.warmup()
        return cls(
            chat=StreamingChat(
                engine,
                models,
                front.response_role,
                online_renderer=renderer,
                enable_prompt_tokens_details=True,
                **shared,
                **tools,
            ),
            completion=StreamingCompletion(
                engine, models, online_renderer=renderer, request_logger=None, enable_prompt_tokens_details=True
            ),
            tokenization=ServingTokenization(models, renderer, **shared),
        )


def answer_body(response: Any) -> bytes:
    """A whole answer as OpenAI shapes it: vLLM's extra fields are left out, OpenAI's nullable ones stay."""
    whole = response.model_dump()
    body = {key: whole[key] for key in ANSWER_KEYS if whole.get(key) is not None}
    body["choices"] = [_choice(choice) for choice in whole["choices"]]
    body["usage"] = {key: value for key, value in whole["usage"].items() if value is not None}
    return orjson.dumps(body)


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in choice.items() if key in CHOICE_KEYS}
    if "message" in kept:
        optional = {"reasoning", "annotations", "audio"}
        kept["message"] = {
            key: value
            for key, value in kept["message"].items()
            if key in MESSAGE_KEYS and not (key in optional and value is None)
        }
    return kept
