"""One call and its answer, between a link and a client.

Bytes are pushed through as they arrive. The exchange only remembers how far it is, so that before the first byte a call
can be sent again, and after it a cut is told once.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from configs.errors import MantaError, TimedOut
from models.wire import Usage
from serving.link.client import Link


class Client(Protocol):
    """Who waits for the answer. No method may block or raise."""

    def begin(self, content_type: str) -> None:
        """The first bytes are about to come: from now on the answer cannot be started again."""
        ...

    def write(self, chunk: bytes) -> None:
        """Pass bytes on; a client that reads too slowly is dropped by its own implementation."""
        ...


class Collector:
    """A `Client` in memory: `parts` are the answer's bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.content_type = "application/json"

    def begin(self, content_type: str) -> None:
        """See `Client`."""
        self.content_type = content_type

    def write(self, chunk: bytes) -> None:
        """See `Client`."""
        self.parts.append(chunk)


class ClientGone(Exception):
    """The client closed its connection; nobody is left to tell."""


class Exchange:
    """A sink of `serving.link.client`; `finished` resolves to the usage or raises what ended the answer."""

    def __init__(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        self._client = client
        self._content_type = ""
        self._link: Link | None = None
        self._stream = 0
        self._now = loop.time
        self.on_usage: Callable[[Usage], object] | None = None
        self.finished: asyncio.Future[Usage] = loop.create_future()
        self.opened_at = self.last_at = loop.time()
        self.first_at: float | None = None

    @property
    def started(self) -> bool:
        """Whether the client got bytes."""
        return self.first_at is not None

    def opened(self, link: Link, stream: int) -> None:
        """Remember where to cancel."""
        self._link, self._stream = link, stream

    async def ended(self) -> Usage:
        """The usage of the whole answer, or what ended it. Whoever is cancelled while they wait stops the work."""
        try:
            return await asyncio.shield(self.finished)
        except asyncio.CancelledError:
            self.abandon(ClientGone())
            raise

    def on_head(self, content_type: str) -> None:
        """See `serving.link.client.Sink`."""
        self._content_type = content_type

    def on_data(self, chunk: bytes) -> None:
        """See `serving.link.client.Sink`."""
        if self.finished.done():
            return
        self.last_at = self._now()
        if self.first_at is None:
            self.first_at = self.last_at
            self._client.begin(self._content_type)
        self._client.write(chunk)

    def on_end(self, usage: Usage) -> None:
        """See `serving.link.client.Sink`."""
        if self.on_usage is not None:
            self.on_usage(usage)
        if not self.finished.done():
            self.finished.set_result(usage)

    def on_fail(self, error: MantaError) -> None:
        """See `serving.link.client.Sink`."""
        if not self.finished.done():
            self.finished.set_exception(error)

    def abandon(self, error: Exception) -> None:
        """End with `error` and stop the engine's work on it; the usage until then arrives later."""
        if not self.finished.done():
            self.finished.set_exception(error)
            if self._link is not None:
                self._link.cancel(self._stream)

    def overdue(self, first_token_s: float, stall_s: float) -> MantaError | None:
        """The deadline that passed, if one did."""
        now = self._now()
        if self.first_at is None and now - self.opened_at > first_token_s:
            return TimedOut(f"The model gave no first token within {first_token_s:g} seconds.")
        if self.first_at is not None and now - self.last_at > stall_s:
            return TimedOut(f"The model gave nothing more for {stall_s:g} seconds.")
        return None
