"""vLLM's engine with two additions: grammars are tried outside, and outputs can be pushed instead of being awaited.

`AsyncLLM.generate` wakes a task for every token of every request. The collector that its output handler fills is an
attribute of the request's state, so a sink put in its place is called directly (docs/decisions/0004).
"""

from typing import Any, Protocol

import orjson
import xgrammar
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM

from configs.errors import MantaError
from models.chat import refusals
from models.chat.grammar.guard import GrammarGuard


class OutputSink(Protocol):
    """What `push` fills."""

    engine_id: str

    def put(self, output: Any) -> None:
        """Take one `RequestOutput`, or the exception that ended the engine."""
        ...


class PushEngine(AsyncLLM):
    """`AsyncLLM` that can push, and that compiles no grammar which was not compiled elsewhere before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._guard = GrammarGuard(self._tokenizer_info)  # first: a start that fails calls `shutdown`
        super().__init__(*arguments, **options)

    async def add_request(self, request_id: str, prompt: Any, params: Any, *arguments: Any, **options: Any) -> Any:
        """vLLM: admit a request. Every way into the engine ends here.

        Raises:
            VLLMValidationError: its grammar does not compile within the limits; `refusals` knows why.
        """
        if isinstance(params, SamplingParams) and (wanted := params.structured_outputs) is not None:
            try:
                await self._check_grammar(wanted)
            except MantaError as error:
                refusals.note(error)
                raise VLLMValidationError(error.message) from error
        return await super().add_request(request_id, prompt, params, *arguments, **options)

    async def _check_grammar(self, wanted: Any) -> None:
        for kind in ("json", "regex", "grammar", "structural_tag"):
            text = getattr(wanted, kind)
            if text:
                await self._guard.check(kind, text if isinstance(text, str) else orjson.dumps(text).decode())

    def shutdown(self, *arguments: Any, **options: Any) -> None:
        """vLLM: end the core."""
        self._guard.close()
        super().shutdown(*arguments, **options)

    def _tokenizer_info(self) -> str:
        size = self.model_config.get_vocab_size()
        return str(xgrammar.TokenizerInfo.from_huggingface(self.get_tokenizer(), vocab_size=size).serialize_json())

    async def push(self, prompt: Any, params: Any, request_id: str, sink: OutputSink, lora_request: Any = None) -> None:
        """Add a request whose outputs go to `sink.put`, on the loop of this engine.

        Raises:
            vllm.exceptions.VLLMError, ValueError: the request was refused; EngineDeadError: the core is gone.
        """
        collector = await self.add_request(request_id, prompt, params, lora_request=lora_request)
        sink.engine_id = collector.request_id
        # No await between these lines: nothing can be put into the collector after it was read.
        state = self.output_processor.request_states.get(collector.request_id)
        if state is not None:
            state.queue = sink
        if collector.output is not None:
            sink.put(collector.output)
