"""A rerank model as a replica sees it: calls in, JSON out. It does not know that it is served."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson
from prometheus_client import CollectorRegistry, generate_latest

from configs import plugins
from configs.batching import Batcher
from configs.errors import ContextTooLong, Internal, RouteNotFound, TimedOut, Unavailable
from configs.fair_queue import BatchLimits
from configs.specs import ModelSpec
from models.batch_metrics import BatchCollector
from models.rerank import wire
from models.rerank.protocol import Pair, Reranker, RerankRequest, Scores
from models.wire import Call, Reply, Usage

JSON = "application/json"
FOLDER = "models.rerank"
MAX_BATCH_PAIRS = 512
MAX_QUEUED_TOKENS = 2**20
PADDING_TOKENS = 64
PROGRESS_TIMEOUT_S = 60.0
PIECE_BYTES = 2**18


class RerankBackend:
    """See `models.wire.Backend`; `params.model` names the file of this folder that loads the model."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._reranker: Reranker | None = None
        self._batcher: Batcher[Pair, np.float32] | None = None
        self._threads = ThreadPoolExecutor(2, thread_name_prefix=f"tokenize-{spec.model_name}")
        self._registry = CollectorRegistry()
        self.on_death: Callable[[], object] | None = None

    async def start(self, report: Callable[[str], None]) -> None:
        """See `models.wire.Backend`."""
        report("load")
        create = plugins.load(FOLDER, self._spec.params.backend)
        reranker: Reranker = await asyncio.to_thread(create, self._spec)
        report("warm up")
        await asyncio.to_thread(reranker.score, [("manta", "a ray")])
        limits = BatchLimits(reranker.batch_tokens, MAX_BATCH_PAIRS, PADDING_TOKENS)
        name = f"rerank-{self._spec.model_name}"
        self._reranker = reranker
        self._batcher = Batcher(
            lambda pairs: list(reranker.score(pairs)), limits, max_queued=MAX_QUEUED_TOKENS, name=name
        )
        self._registry.register(BatchCollector("manta_rerank", self._batcher.stats))

    async def answer(self, call: Call, reply: Reply) -> None:
        """See `models.wire.Backend`."""
        if self._reranker is None or self._batcher is None:
            raise Unavailable("This model is not loaded yet.")
        if call.path != "/v1/rerank":
            raise RouteNotFound(f"A rerank model does not answer {call.path}.")
        task = asyncio.current_task()
        assert task is not None
        reply.on_cancel(task.cancel)
        request = wire.parse(orjson.loads(call.body))
        scores, tokens = await self._score(self._reranker, self._batcher, request)
        body = wire.render(request, scores, tokens, model_name=self._spec.model_name, request_id=call.request_id)
        reply.head(JSON)
        for start in range(0, len(body), PIECE_BYTES):
            reply.data(body[start : start + PIECE_BYTES])
        reply.end(Usage(prompt_tokens=tokens))

    async def check(self) -> None:
        """See `models.wire.Backend`: a pass that never ends is a reason to start anew."""
        assert self._batcher is not None
        if self._batcher.busy_for_s > PROGRESS_TIMEOUT_S:
            raise TimedOut(f"The reranker has worked on one batch for over {PROGRESS_TIMEOUT_S:g} seconds.")

    def metrics(self) -> bytes:
        """See `models.wire.Backend`."""
        return generate_latest(self._registry)

    async def stop(self) -> None:
        """See `models.wire.Backend`."""
        if self._batcher is not None:
            self._batcher.close()
        self._threads.shutdown(cancel_futures=True)

    async def _score(
        self, reranker: Reranker, batcher: Batcher[Pair, np.float32], request: RerankRequest
    ) -> tuple[Scores, int]:
        """Scores in the order of the documents, and the tokens that the model read."""
        sizes = await asyncio.get_running_loop().run_in_executor(self._threads, _sizes, reranker, request)
        pairs = [(request.query, document) for document in request.documents]
        scores = np.array(await batcher.submit(pairs, sizes), np.float32)
        if not np.isfinite(scores).all():
            raise Internal("The model gave a score that is not finite.")
        return scores, sum(sizes)


def _sizes(reranker: Reranker, request: RerankRequest) -> list[int]:
    """Tokens of each pair. Only documents are cut: a query may take half of the window, and the longer part is cut."""
    query, *documents = reranker.count([request.query, *request.documents])
    room = (reranker.max_tokens - reranker.special_tokens) // 2
    if query > room:
        text = f"'query' has {query} tokens, more than half of the window of {reranker.model_name!r} ({room})."
        raise ContextTooLong(text, param="query")
    return [min(query + document + reranker.special_tokens, reranker.max_tokens) for document in documents]
