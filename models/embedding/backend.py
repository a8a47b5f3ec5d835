"""An embedding model as a replica sees it: calls in, OpenAI's JSON out. It does not know that it is served."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import orjson
from prometheus_client import CollectorRegistry, generate_latest

from configs import plugins
from configs.errors import RouteNotFound, TimedOut, Unavailable
from configs.specs import ModelSpec
from models.batch_metrics import BatchCollector
from models.embedding import wire
from models.embedding.protocol import Embedder
from models.embedding.service import EmbeddingService
from models.wire import Call, Reply, Usage

JSON = "application/json"
FOLDER = "models.embedding"
PIECE_BYTES = 2**18
LARGE_INPUTS = 64
"""From here on a body is rendered in a thread: a vector of 384 numbers takes 20 us."""

PROGRESS_TIMEOUT_S = 60.0


class EmbeddingBackend:
    """See `models.wire.Backend`; `params.model` names the file of this folder that loads the model."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._service: EmbeddingService | None = None
        self._rendering = ThreadPoolExecutor(1, thread_name_prefix=f"render-{spec.model_name}")
        self._registry = CollectorRegistry()
        self.on_death: Callable[[], object] | None = None

    async def start(self, report: Callable[[str], None]) -> None:
        """See `models.wire.Backend`; what is not here yet is fetched while it loads."""
        report("load")
        create = plugins.load(FOLDER, self._spec.params.backend)
        embedder: Embedder = await asyncio.to_thread(create, self._spec)
        report("warm up")
        await asyncio.to_thread(embedder.warm_up)
        self._service = EmbeddingService(embedder)
        self._registry.register(BatchCollector("manta_embedding", self._service.batcher.stats))

    async def answer(self, call: Call, reply: Reply) -> None:
        """See `models.wire.Backend`."""
        if self._service is None:
            raise Unavailable("This model is not loaded yet.")
        if call.path != "/v1/embeddings":
            raise RouteNotFound(f"An embedding model does not answer {call.path}.")
        task = asyncio.current_task()
        assert task is not None
        reply.on_cancel(task.cancel)
        request = wire.parse(orjson.loads(call.body))
        result = await self._service.embed(request)
        body = await self._rendered(len(request.inputs), lambda: wire.render(result, self._name, base64=request.base64))
        reply.head(JSON)
        for start in range(0, len(body), PIECE_BYTES):
            reply.data(body[start : start + PIECE_BYTES])
        reply.end(Usage(prompt_tokens=result.prompt_tokens))

    async def check(self) -> None:
        """See `models.wire.Backend`: a pass that never ends is a reason to start anew."""
        assert self._service is not None
        if self._service.batcher.busy_for_s > PROGRESS_TIMEOUT_S:
            raise TimedOut(f"The embedder has worked on one batch for over {PROGRESS_TIMEOUT_S:g} seconds.")

    def metrics(self) -> bytes:
        """See `models.wire.Backend`."""
        return generate_latest(self._registry)

    async def stop(self) -> None:
        """See `models.wire.Backend`."""
        if self._service is not None:
            self._service.close()
        self._rendering.shutdown(cancel_futures=True)

    async def _rendered(self, inputs: int, render: Callable[[], bytes]) -> bytes:
        if inputs < LARGE_INPUTS:
            return render()
        return await asyncio.get_running_loop().run_in_executor(self._rendering, render)

    @property
    def _name(self) -> str:
        return self._spec.model_name
