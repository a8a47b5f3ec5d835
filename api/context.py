"""What is known of a request, from its arrival to its log line: one object in the ASGI scope."""

import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from api.principal import Principal

SCOPE_KEY = "manta"


@dataclass(slots=True)
class Context:
    """One request. `request_id` may be the client's own; `answer_id` is ours and unique.

    `body` is set for bodies that passed the gate, `json` when they were JSON.
    """

    request_id: str
    answer_id: str
    arrived_at: float = field(default_factory=time.perf_counter)
    body: bytes = b""
    json: Any = None
    principal: Principal | None = None
    route: str = ""
    path: str = ""
    model: str = ""
    status: int = 0
    address: str = ""
    """The client's, as far as it can be believed."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Further headers of its answer, streamed or not."""

    def elapsed_ms(self) -> int:
        """Milliseconds since the request arrived."""
        return round((time.perf_counter() - self.arrived_at) * 1000)


def context_of(scope: MutableMapping[str, Any]) -> Context:
    """The context that the gate made."""
    context: Context = scope[SCOPE_KEY]
    return context
