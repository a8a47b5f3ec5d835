"""The words that cross between the edge and a model: a call goes down, bytes come back.

OpenAI's wire format is the one language between the floors, so a call is a path with a JSON body and an answer is a
status, a content type and bytes. This file does not know what carries them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One request for a model, already authenticated, validated and canonical.

    `tenant` separates what tenants may share (vLLM salts its prefix cache with it); `lease` is the slot it runs on.
    """

    path: str
    body: bytes
    request_id: str
    tenant: str = ""
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Reply(Protocol):
    """Where an answer is written, in this order: `head`, any number of `data`, then `end`; or `fail` at any time.

    All methods return at once, never block and never raise; what is written after the caller left is dropped.
    """

    def head(self, content_type: str) -> None:
        """Say that the request was accepted and of what type the answer is."""
        ...

    def data(self, chunk: bytes) -> None:
        """Write whole events (of a stream) or any part of a body."""
        ...

    def end(self, usage: Usage) -> None:
        """Finish the answer."""
        ...

    def fail(self, error: Exception) -> None:
        """Finish with an error of `configs.errors`; anything else is logged and reported as an internal one."""
        ...

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Call `callback` once if the caller leaves before the end."""
        ...


class Backend(Protocol):
    """A loaded model that answers calls. Plugins under `models/` create one from a `ModelSpec`.

    `on_death` is called when the model can never answer again, for example because its engine process ended.
    """

    on_death: Callable[[], object] | None

    async def start(self, report: Callable[[str], None]) -> None:
        """Load and warm up, naming each phase to `report`; raises a MantaError that says what to mend."""
        ...

    async def answer(self, call: Call, reply: Reply) -> None:
        """Serve one call; returns when the answer ended or when it will go on by itself."""
        ...

    async def check(self) -> None:
        """Prove that the model still makes progress; raises when it does not."""
        ...

    def metrics(self) -> bytes:
        """Prometheus text of this process."""
        ...

    async def stop(self) -> None:
        """End every process and thread that `start` made."""
        ...
