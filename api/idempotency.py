"""`Idempotency-Key`: a POST that is sent twice acts once, and answers the same.

The key counts for one caller and one route, for 24 hours. What a route does and what it answered are one transaction,
so after any crash either both are there or neither. The kept answer is sealed: it may hold a new key.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

from api.answers import json_answer
from api.context import Context, context_of
from api.db import idempotency as queries
from api.db.session import Unit
from api.db.tables import IdempotencyKey
from api.policy import caller
from api.principal import Principal
from api.services import services_of
from api.vault.keys import owner_of_caller
from api.vault.vault import Vault
from configs.errors import BadRequest, Conflict, IdempotencyMismatch
from configs.seal import aad_of, open_sealed, seal

HEADER = b"idempotency-key"
KEY = re.compile(rb"[\x21-\x7e]{1,255}\Z")
REPLAYED = "idempotent-replayed"
KEPT = ("content-type", "location")
"""Headers of an answer that come again with it."""

Effect = Callable[[Unit], Awaitable[dict[str, Any]]]


def created(body: dict[str, Any]) -> Response:
    """What is told of something that was made."""
    return json_answer(body, 201)


async def once(request: Request, effect: Effect, shown: Callable[[dict[str, Any]], Response] = created) -> Response:
    """Have `effect` happen in a unit of work of the caller, once per key, and answer what it returns, as `shown`.

    Raises:
        BadRequest: the key is none.
        IdempotencyMismatch: the key came with another request before.
        Conflict: the first request with it still runs.
    """
    principal, services = caller(request), services_of(request)
    key = key_of(request.scope["headers"])
    async with services.database.unit(principal.scope) as unit:
        if key is None:
            return shown(await effect(unit))
        claim = Claim(services.vault, principal, context_of(request.scope), request.scope["method"], key)
        replay = await claim.take(unit)
        if replay is not None:
            return replay
        answer = shown(await effect(unit))
        kept = {name: answer.headers[name] for name in KEPT if name in answer.headers}
        await claim.keep(unit, answer.status_code, kept, bytes(answer.body))
    return answer


class Claim:
    """One request's hold on its key."""

    def __init__(self, vault: Vault, principal: Principal, context: Context, method: str, key: bytes) -> None:
        self._vault = vault
        self._principal = principal
        who = principal.user_id or principal.key_id or ""
        self.digest = _digest(who.encode(), method.encode(), context.route.encode(), key)
        self._request = _digest(context.path.encode("utf-8", "surrogateescape"), context.body)

    async def take(self, unit: Unit, *, abandoned_s: float = 0.0) -> Response | None:
        """None for the first; the kept answer for the others. Errors: see `once`."""
        organization_id = self._principal.organization_id
        if await queries.claim(unit, organization_id, self.digest, self._request, abandoned_s=abandoned_s):
            return None
        row = await queries.get(unit, organization_id, self.digest)
        assert row is not None
        if row.request_digest != self._request:
            raise IdempotencyMismatch("This Idempotency-Key was used with another request: choose a new one.")
        if row.status is None:
            raise Conflict(queries.RUNNING, retry_after_s=1.0)
        return await self._replayed(unit, row)

    async def keep(self, unit: Unit, status: int, headers: dict[str, str], body: bytes) -> None:
        """Keep the answer for those who come later."""
        principal = self._principal
        key = await self._vault.key_for(unit, owner_of_caller(principal.scope))
        await queries.finish(
            unit,
            principal.organization_id,
            self.digest,
            status=status,
            headers=headers,
            data_key_id=key.id,
            response=seal(key.key, body, self._aad()),
        )

    async def _replayed(self, unit: Unit, row: IdempotencyKey) -> Response:
        assert row.data_key_id is not None
        assert row.response is not None
        assert row.status is not None
        key = await self._vault.key(unit, row.data_key_id)
        body = open_sealed(key.key, row.response, self._aad())
        return Response(body, row.status, {REPLAYED: "true", **(row.headers or {})})

    def _aad(self) -> bytes:
        return aad_of("idempotency_keys", self.digest.hex(), "response", self._principal.organization_id)


def key_of(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """The request's key, if it has one.

    Raises:
        BadRequest: two, or one that is no key.
    """
    given = [value for name, value in headers if name == HEADER]
    if not given:
        return None
    if len(given) > 1 or not KEY.match(given[0]):
        raise BadRequest("An Idempotency-Key is 1 to 255 visible ASCII characters, given once.")
    return given[0]


def _digest(*parts: bytes) -> bytes:
    made = hashlib.sha256()
    for part in parts:
        made.update(len(part).to_bytes(8, "big") + part)
    return made.digest()
