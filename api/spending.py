"""A model call with an `Idempotency-Key`: it is paid for once, and answered the same when it is sent again.

The key is claimed before the call and the whole answer, streamed or not, is kept at its end. An answer that broke off
is not kept, so the next try is a new call. It knows nothing of models.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request, Response

from api.context import context_of
from api.db import idempotency as queries
from api.db.session import Database
from api.idempotency import Claim, key_of
from api.policy import caller
from api.scope import Scope
from api.services import services_of
from configs.errors import Unavailable
from serving.exchange import Client

log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 4 * 2**20


class Spending:
    """One claimed call; `answer` is what an earlier one with this key got."""

    def __init__(self, database: Database, scope: Scope, claim: Claim, answer: Response | None) -> None:
        self._database = database
        self._scope = scope
        self._claim = claim
        self.answer = answer
        self.content_type = "application/json"
        self._kept: list[bytes] = []
        self._size = 0

    def recording(self, client: Client) -> Client:
        """The same client, with a copy of what it gets."""
        return _Recorder(client, self)

    def add(self, chunk: bytes) -> None:
        """Remember a part of the answer; bytes are kept by reference."""
        self._size += len(chunk)
        if self._size <= MAX_KEPT_BYTES:
            self._kept.append(chunk)

    async def keep(self, response: Response) -> None:
        """Keep an answer that no model gave."""
        self.content_type = response.headers["content-type"]
        self.add(bytes(response.body))
        await self.end(whole=True)

    async def end(self, *, whole: bool) -> None:
        """Keep the answer if it is `whole`, else free the key."""
        try:
            async with self._database.unit(self._scope) as unit:
                if whole and self._size <= MAX_KEPT_BYTES:
                    await self._claim.keep(unit, 200, {"content-type": self.content_type}, b"".join(self._kept))
                else:
                    await queries.release(unit, self._scope.organization_id, self._claim.digest)
        except Unavailable:
            log.warning("an answer could not be kept for its Idempotency-Key; the key is free after its deadline")


class _Recorder:
    """`serving.exchange.Client` with a copy."""

    def __init__(self, client: Client, spending: Spending) -> None:
        self._client = client
        self._spending = spending

    def begin(self, content_type: str) -> None:
        self._spending.content_type = content_type
        self._client.begin(content_type)

    def write(self, chunk: bytes) -> None:
        self._spending.add(chunk)
        self._client.write(chunk)


async def spending_of(request: Request) -> Spending | None:
    """The claim of a request with an `Idempotency-Key`; None for one without.

    Raises:
        BadRequest, IdempotencyMismatch, Conflict: see `api.idempotency.once`.
    """
    key = key_of(request.scope["headers"])
    if key is None:
        return None
    services, principal = services_of(request), caller(request)
    claim = Claim(services.vault, principal, context_of(request.scope), request.scope["method"], key)
    abandoned_s = services.cluster.configuration.ingress.total_timeout_s + 60.0
    async with services.database.unit(principal.scope) as unit:
        answer = await claim.take(unit, abandoned_s=abandoned_s)
    return Spending(services.database, principal.scope, claim, answer)


@asynccontextmanager
async def freed(spending: Spending | None) -> AsyncIterator[None]:
    """Free the key when the block, which comes before the call itself, fails."""
    try:
        yield
    except BaseException:
        if spending is not None:
            await spending.end(whole=False)
        raise
