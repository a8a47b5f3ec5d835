"""vLLM's engine with one addition: outputs can be pushed into a sink instead of being awaited.

`AsyncLLM.generate` wakes a task for every token of every request. The collector that its output handler fills is an
attribute of the request's state, so a sink put in its place is called directly (docs/decisions/0004).
"""

from typing import Any, Protocol

from vllm.v1.engine.async_llm import AsyncLLM


class OutputSink(Protocol):
    """What `push` fills."""

    engine_id: str

    def put(self, output: Any) -> None:
        """Take one `RequestOutput`, or the exception that ended the engine."""
        ...


class PushEngine(AsyncLLM):
    """`AsyncLLM` that can push."""

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
