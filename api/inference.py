"""From a checked request to its answer: the way that every model call takes through the edge.

A stream's bytes go from the replica's link to the client's socket; this file only starts and ends it. It does not know
what is asked of the model.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api import metrics
from api.amendment import Amendment
from api.context import Context, context_of
from api.directory import Entry
from api.errors import event_of
from api.gate import identity_headers
from api.headers import block
from api.http import DirectStream
from api.principal import Permission
from api.services import Services, services_of
from api.spending import Spending, spending_of
from configs.errors import Forbidden, MantaError
from configs.specs import IngressSpec
from models.wire import Call, Usage
from serving.exchange import Client, ClientGone, Collector, Exchange
from serving.gateway import Answer, Deadlines

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
STREAM_HEAD = block((name.encode(), value.encode()) for name, value in STREAM_HEADERS.items())
CLIENT_CLOSED = 499


async def infer(request: Request, entry: Entry, body: bytes, *, stream: bool) -> Response:
    """The answer of `entry`'s model to `body`, streamed or whole.

    Raises:
        MantaError: it failed before its first byte.
    """
    spending = await begun(request, entry)
    if spending is not None and spending.answer is not None:
        return spending.answer
    return await answered(request, entry, body, spending, stream=stream)


async def begun(request: Request, entry: Entry) -> Spending | None:
    """Begin a call of `entry`'s model: what an `Idempotency-Key` stands for, and what it was answered before.

    Raises:
        MantaError: the caller may not call it, or the key is in use.
    """
    context = context_of(request.scope)
    context.model = entry.name
    assert context.principal is not None
    if not context.principal.may_call(entry.name):
        raise Forbidden("This key may not call this model.", param="model")
    return await spending_of(request)


async def answered(
    request: Request,
    entry: Entry,
    body: bytes,
    spending: Spending | None,
    *,
    stream: bool,
    amendment: Amendment | None = None,
) -> Response:
    """The answer to a call that was begun. Errors as `infer`."""
    context = context_of(request.scope)
    assert context.principal is not None
    call = Call(request.scope["path"], body, context.answer_id, context.principal.organization_id)
    asked = Asked(services_of(request), context, entry, call, stream=stream, amendment=amendment)
    if stream:
        return StreamedAnswer(asked, spending)
    return await whole_answer(asked, request.scope, spending)


class Asked:
    """One call on its way, with what must be known when it ends."""

    def __init__(
        self,
        services: Services,
        context: Context,
        entry: Entry,
        call: Call,
        *,
        stream: bool,
        amendment: Amendment | None = None,
    ) -> None:
        self._stream = stream
        self._amendment = amendment
        self.services = services
        self.context = context
        self.entry = entry
        self.call = call
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[Any] | None = None
        self._left = False
        self._cut: MantaError | None = None
        metrics.PHASES.labels("edge", context.route).observe(time.perf_counter() - context.arrived_at)

    async def send(self, client: Client) -> Answer | None:
        """Have it answered into `client`; None when the client left first.

        Raises:
            MantaError: it failed before its first byte.
        """
        gauge = metrics.OPEN_ANSWERS.labels(self.entry.name)
        deadlines = deadlines_of(self.services.cluster.configuration.ingress, self.entry, stream=self._stream)
        gauge.inc()
        try:
            if self._amendment is not None:
                client = self._amendment.around(client)
            answer = await self.services.gateway.send(self.entry.base, self.call, client, deadlines, self._opened)
            if self._amendment is not None and answer.error is None:
                await self._amendment.end()
        except ClientGone:
            return None
        except asyncio.CancelledError:
            if self._task is None or not (self._left or self._cut):
                raise
            self._task.uncancel()
            if self._cut is not None:
                raise self._cut from None
            return None
        finally:
            gauge.dec()
        metrics.PHASES.labels("lease", self.context.route).observe(answer.lease_s)
        if answer.first_byte_s is not None:
            metrics.PHASES.labels("first_byte", self.context.route).observe(answer.first_byte_s - answer.lease_s)
            metrics.PHASES.labels("stream", self.context.route).observe(answer.whole_s - answer.first_byte_s)
        return answer

    @contextmanager
    def watching(self, scope: MutableMapping[str, Any]) -> Iterator[DirectStream]:
        """Stop the work when the client leaves or loses its rights: the exchange, or the wait for a lease before it."""
        stream, doorkeeper = DirectStream(scope), self.services.doorkeeper
        self._task = asyncio.current_task()
        stream.watch(self._leave)
        watch = doorkeeper.watch(scope, Permission.INFERENCE, self._end)
        try:
            yield stream
        finally:
            doorkeeper.unwatch(watch)
            stream.watch(None)

    def _leave(self) -> None:
        self._left = True
        self.context.status = CLIENT_CLOSED
        self._abandon(ClientGone())

    def _end(self, error: MantaError) -> None:
        self._cut = error
        self._abandon(error)

    def _abandon(self, reason: Exception) -> None:
        if self._exchange is not None and not self._exchange.finished.done():
            self._exchange.abandon(reason)
        elif self._task is not None:
            self._task.cancel()

    def _opened(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.on_usage = self._account

    def _account(self, usage: Usage) -> None:
        """Usage arrives once per call that a replica took, also when its client left before the end."""
        route, principal = self.context.route, self.context.principal
        assert principal is not None
        metrics.TOKENS.labels(self.entry.name, "prompt").inc(usage.prompt_tokens)
        metrics.TOKENS.labels(self.entry.name, "completion").inc(usage.completion_tokens)
        self.services.outbox.add(
            {
                "id": f"use_{self.call.request_id}",
                "organization_id": principal.organization_id,
                "api_key_id": principal.key_id,
                "user_id": principal.user_id,
                "model": self.entry.name,
                "route": route,
                "status": self.context.status or 200,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "cached_tokens": usage.cached_tokens,
                "duration_ms": self.context.elapsed_ms(),
                "created_at": time.time(),
            }
        )


class StreamedAnswer(Response):
    """An SSE answer whose events are written by the link itself."""

    def __init__(self, asked: Asked, spending: Spending | None) -> None:
        super().__init__()
        self._asked = asked
        self._spending = spending

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """ASGI."""
        asked = self._asked
        async with kept(self._spending) as spent:
            with asked.watching(scope) as stream:
                client = _StreamClient(stream, asked.context)
                answer = await asked.send(self._spending.recording(client) if self._spending else client)
            spent.whole = answer is not None and answer.error is None
        if answer is None:
            return
        if answer.error is not None:
            stream.write(event_of(answer.error, asked.context.request_id))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _StreamClient:
    """`serving.exchange.Client` on a socket."""

    __slots__ = ("_context", "_stream", "write")

    def __init__(self, stream: DirectStream, context: Context) -> None:
        self._stream = stream
        self._context = context
        self.write = stream.write

    def begin(self, content_type: str) -> None:
        self._context.status = 200
        self._stream.begin(identity_headers(self._context), STREAM_HEAD)


@dataclass(slots=True)
class Spent:
    """Whether an answer came to its end."""

    whole: bool = False


@asynccontextmanager
async def kept(spending: Spending | None) -> AsyncIterator[Spent]:
    """Keep an answer that comes to its end inside the block; free the key when it does not."""
    spent = Spent()
    try:
        yield spent
    finally:
        if spending is not None:
            await spending.end(whole=spent.whole)


async def whole_answer(asked: Asked, scope: MutableMapping[str, Any], spending: Spending | None) -> Response:
    """The complete answer as one response; a client that leaves stops the work on it."""
    collector = Collector()
    async with kept(spending) as spent:
        with asked.watching(scope):
            answer = await asked.send(spending.recording(collector) if spending else collector)
        spent.whole = answer is not None and answer.error is None
    if answer is None:
        return Response(status_code=CLIENT_CLOSED)
    if answer.error is not None:
        raise answer.error
    return Response(b"".join(collector.parts), media_type=collector.content_type)


def deadlines_of(ingress: IngressSpec, entry: Entry, *, stream: bool) -> Deadlines:
    """How long each part of an answer may take; the first bytes of a whole one come at its end."""
    return Deadlines(
        start_s=entry.spec.start_timeout_s,
        first_token_s=ingress.first_token_timeout_s if stream else ingress.total_timeout_s,
        stall_s=ingress.stall_timeout_s,
        total_s=ingress.total_timeout_s,
    )
