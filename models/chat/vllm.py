"""Chat and completions by vLLM, in this process's loop with its engine core beside it.

A plain stream is encoded here by template; every other request goes through vLLM's own OpenAI layer. It does not know
that it is served.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import prometheus_client
from vllm.entrypoints.chat_utils import ChatTemplateResolutionError
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.serve.tokenize.protocol import TokenizeChatRequest, TokenizeCompletionRequest
from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
from vllm.usage.usage_lib import UsageContext

from configs.errors import EngineDied, Internal, MantaError, RouteNotFound
from configs.specs import ModelSpec
from models import sources
from models.chat import executor, refusals
from models.chat.arguments import engine_arguments, frontend_arguments
from models.chat.engine import PushEngine
from models.chat.openai import Metered, OpenAILayer, answer_body
from models.chat.special_tokens import PlainText
from models.chat.stream import PlainStream
from models.wire import Call, Reply, Usage

log = logging.getLogger(__name__)

JSON = "application/json"
EVENTS = "text/event-stream"
PROGRESS_TIMEOUT_S = 60.0


def create(spec: ModelSpec) -> "VllmBackend":
    """The backend of `params: {model: vllm/...}`."""
    return VllmBackend(spec)


class VllmBackend:
    """See `models.wire.Backend`."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._engine: PushEngine | None = None
        self._layer: OpenAILayer | None = None
        self._plain = PlainText(())
        self._window = 0
        self._background: set[asyncio.Task[Any]] = set()
        self.on_death: Callable[[], object] | None = None

    async def start(self, report: Callable[[str], None]) -> None:
        """See `models.wire.Backend`; the loop stands still while the engine core loads."""
        report("download")
        folder = await asyncio.to_thread(sources.folder, self._spec.params.source, "transformers")
        report("load")
        arguments = engine_arguments(self._spec, str(folder))
        config = arguments.create_engine_config(UsageContext.OPENAI_API_SERVER)
        with executor.place(config, self._spec.engine_arguments.get("distributed_executor_backend")):
            engine = PushEngine.from_vllm_config(config, usage_context=UsageContext.OPENAI_API_SERVER)
        assert engine.output_handler is not None
        engine.output_handler.add_done_callback(self._output_handler_ended)
        self._engine, self._window = engine, config.model_config.max_model_len
        self._plain = PlainText.of(engine.get_tokenizer())
        report("warm up")
        self._layer = await OpenAILayer.build(engine, self._spec, frontend_arguments(self._spec))
        await self._warm_up()

    async def answer(self, call: Call, reply: Reply) -> None:
        """See `models.wire.Backend`."""
        if self._engine is None or self._engine.errored:
            raise EngineDied("The engine of this model is not running.")
        refusals.expect_own()
        task = asyncio.current_task()
        assert task is not None
        reply.on_cancel(task.cancel)
        try:
            await self._route(call, reply)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise refusals.from_exception(error, self._window) from error

    async def check(self) -> None:
        """See `models.wire.Backend`: a question that the core's own loop answers, between two steps."""
        assert self._engine is not None
        async with asyncio.timeout(PROGRESS_TIMEOUT_S):
            await self._engine.check_health()
            await self._engine.is_sleeping()

    def metrics(self) -> bytes:
        """See `models.wire.Backend`."""
        return prometheus_client.generate_latest()

    async def stop(self) -> None:
        """See `models.wire.Backend`."""
        if self._engine is not None:
            self.on_death = None
            self._engine.shutdown()

    async def _route(self, call: Call, reply: Reply) -> None:
        body = orjson.loads(call.body)
        if call.path == "/v1/chat/completions":
            await self._chat(
                ChatCompletionRequest.model_validate(self._stamped(self._plain.cleaned(body), call)), reply
            )
        elif call.path == "/v1/completions":
            await self._completion(CompletionRequest.model_validate(self._stamped(body, call)), reply)
        elif call.path == "/tokenize":
            await self._tokenize(body, reply)
        else:
            raise RouteNotFound(f"A chat model does not answer {call.path}.")

    def _stamped(self, body: dict[str, Any], call: Call) -> dict[str, Any]:
        body["request_id"] = call.request_id
        if call.tenant:
            body["cache_salt"] = call.tenant
        return body

    async def _chat(self, request: ChatCompletionRequest, reply: Reply) -> None:
        assert self._layer is not None
        chat = self._layer.chat
        if not request.stream or request.tools or request.logprobs or (request.n or 1) > 1 or self._reasons():
            await self._deliver(await chat.create_chat_completion(request, None), reply)
            return
        rendered = await chat.render_chat_request(request)
        if isinstance(rendered, ErrorResponse):
            raise refusals.from_response(rendered, self._window)
        limit = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
        await self._stream_plain(chat, request, rendered[1], limit, reply)

    async def _completion(self, request: CompletionRequest, reply: Reply) -> None:
        assert self._layer is not None
        completion = self._layer.completion
        several = isinstance(request.prompt, list) and not (request.prompt and isinstance(request.prompt[0], int))
        if not request.stream or request.n > 1 or request.logprobs is not None or request.echo or several:
            await self._deliver(await completion.create_completion(request, None), reply)
            return
        rendered = await completion.render_completion_request(request)
        if isinstance(rendered, ErrorResponse):
            raise refusals.from_response(rendered, self._window)
        await self._stream_plain(completion, request, rendered, request.max_tokens, reply)

    async def _stream_plain(self, layer: Any, request: Any, inputs: Any, limit: int | None, reply: Reply) -> None:
        assert self._engine is not None
        (engine_input,) = inputs
        length = layer._extract_prompt_len(engine_input)  # noqa: SLF001  the handlers' own way to count a prompt
        defaults = layer.default_sampling_params
        tokens = get_max_tokens(self._window, limit, length, defaults, layer.override_max_tokens)
        lora = layer._maybe_get_adapters(request)  # noqa: SLF001  likewise
        chat = isinstance(request, ChatCompletionRequest)
        stream = PlainStream(
            reply,
            answer_id=f"{'chatcmpl' if chat else 'cmpl'}-{request.request_id}",
            model=request.model or self._spec.model_name,
            chat=chat,
            usage_wanted=bool(request.stream_options and request.stream_options.include_usage),
        )
        reply.head(EVENTS)
        reply.on_cancel(lambda: self._abort(stream))
        sampling = request.to_sampling_params(tokens, defaults)
        try:
            await self._engine.push(engine_input, sampling, request.request_id, stream, lora)
        except asyncio.CancelledError:
            self._in_background(self._engine.abort(request.request_id))
            raise
        if stream.aborted:
            self._abort(stream)

    async def _deliver(self, answer: Any, reply: Reply) -> None:
        if isinstance(answer, ErrorResponse):
            raise refusals.from_response(answer, self._window)
        if isinstance(answer, Metered):
            await self._relay(answer, reply)
            return
        reply.head(JSON)
        reply.data(answer_body(answer))
        reply.end(usage_of(answer.usage))

    async def _relay(self, answer: Metered, reply: Reply) -> None:
        reply.head(EVENTS)
        async for event in answer.events:
            if event.startswith('data: {"error"'):
                reply.fail(self._stream_error(event))
                return
            reply.data(event.encode())
        reply.end(usage_of(answer.metadata.final_usage_info))

    def _stream_error(self, event: str) -> MantaError:
        error = orjson.loads(event.removeprefix("data: "))["error"]
        return refusals.refusal(error["message"], status=int(error["code"]), param=error["param"], window=self._window)

    async def _tokenize(self, body: dict[str, Any], reply: Reply) -> None:
        assert self._layer is not None
        shape = TokenizeChatRequest if "messages" in body else TokenizeCompletionRequest
        answer = await self._layer.tokenization.create_tokenize(shape.model_validate(self._plain.cleaned(body)), None)
        if isinstance(answer, ErrorResponse):
            raise refusals.from_response(answer, self._window)
        reply.head(JSON)
        reply.data(orjson.dumps(answer.model_dump(exclude_none=True)))
        reply.end(Usage())

    def _abort(self, stream: PlainStream) -> None:
        assert self._engine is not None
        stream.aborted = True
        if not stream.engine_id:
            return  # not in the engine yet; asked again when it is
        self._in_background(self._engine.abort(stream.engine_id, internal=True))

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _reasons(self) -> bool:
        assert self._engine is not None
        return bool(self._engine.vllm_config.structured_outputs_config.reasoning_parser)

    async def _warm_up(self) -> None:
        """One token by the way that needs no chat template: a base model has none, and serves completions."""
        body = {"model": self._spec.model_name, "prompt": "hello", "max_tokens": 1}
        request = CompletionRequest.model_validate(body)
        assert self._layer is not None
        answer = await self._layer.completion.create_completion(request, None)
        if isinstance(answer, ErrorResponse):
            raise Internal(f"The model {self._spec.model_name!r} failed its first answer; the log tells why.")
        await self._warm_up_chat()

    async def _warm_up_chat(self) -> None:
        chat = {"model": self._spec.model_name, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
        assert self._layer is not None
        try:
            await self._layer.chat.create_chat_completion(ChatCompletionRequest.model_validate(chat), None)
        except ChatTemplateResolutionError:
            log.warning("the model %s has no chat template: it serves /v1/completions only", self._spec.model_name)

    def _output_handler_ended(self, _: asyncio.Task[None]) -> None:
        """The handler ends only when the engine core died, or at a stop of ours."""
        if self.on_death is not None:
            self.on_death()


def usage_of(usage: Any) -> Usage:
    """From vLLM's `UsageInfo`; None where it counted nothing."""
    if usage is None:
        return Usage()
    details = usage.prompt_tokens_details
    return Usage(usage.prompt_tokens, usage.completion_tokens or 0, (details.cached_tokens or 0) if details else 0)
