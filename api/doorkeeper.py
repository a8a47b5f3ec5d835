"""The one authenticator: a request's headers to a Principal, or an error.

Known keys are answered from memory for at most 60 s, so that a database that is down stops nobody who was let in
before; unknown keys are refused while it is down. A revocation is broadcast and takes effect at once.
"""

import math
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.db import keys as key_queries
from api.db.session import Database
from api.keys import PREFIX, digest_of
from api.principal import Permission, Principal
from configs.errors import Forbidden, Unauthorized, Unavailable

FRESH_S = 60.0
OUTAGE_S = 600.0
MAX_KEY_BYTES = 512
MAX_KNOWN = 100_000


class Doorkeeper:
    """Admits requests; holds digests, never keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, Known] = {}
        self._changes = 0

    async def admit(self, scope: MutableMapping[str, Any], permission: Permission) -> Principal:
        """The caller of this request.

        Raises:
            Unauthorized: no key, or none that is good.
            Forbidden: a good key without `permission`.
            Unavailable: the key is not known yet and the database is down.
        """
        principal = await self._recognise(digest_of(presented(scope["headers"])))
        if not principal.may(permission):
            raise Forbidden(f"This key may not do that: it lacks the permission {permission.value!r}.")
        return principal

    def forget(self) -> None:
        """A key changed somewhere: ask the database again for each."""
        self._known.clear()
        self._changes += 1

    async def _recognise(self, digest: bytes) -> Principal:
        known, changes, now = self._known.get(digest), self._changes, time.monotonic()
        if known is not None and known.good(now, FRESH_S):
            return known.principal
        try:
            found = await self._look_up(digest, now)
        except Unavailable:
            if known is not None and known.good(now, OUTAGE_S):
                return known.principal
            raise
        if found is None:
            self._known.pop(digest, None)
            raise Unauthorized("This API key is not valid. `manta keys create` makes one.")
        if changes == self._changes:  # else it may have been revoked after it was read
            self._remember(digest, found)
        return found.principal

    def _remember(self, digest: bytes, found: "Known") -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[digest] = found

    async def _look_up(self, digest: bytes, now: float) -> "Known | None":
        async with self._database.unit() as session:
            key = await key_queries.find(session, digest)
        if key is None:
            return None
        left_s = math.inf if key.expires_at is None else (key.expires_at - datetime.now(UTC)).total_seconds()
        return Known(Principal(key.organization_id, key.id, frozenset(key.permissions)), now, now + left_s)


@dataclass(frozen=True, slots=True)
class Known:
    """Who a digest belongs to, as read at `read_at`; its key ends at `ends_at` (both monotonic)."""

    principal: Principal
    read_at: float
    ends_at: float

    def good(self, now: float, age_s: float) -> bool:
        """Whether it is younger than `age_s`, and its key has not expired."""
        return now - self.read_at < age_s and now < self.ends_at


def presented(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The key that a request carries in its one `Authorization: Bearer` header.

    Raises:
        Unauthorized: none, two, or one that cannot be a key.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise Unauthorized("No API key: send it as `Authorization: Bearer sk-...`.")
    scheme, _, key = given[0].partition(b" ")
    if len(given) > 1 or scheme.lower() != b"bearer" or len(key) > MAX_KEY_BYTES or not key.startswith(PREFIX.encode()):
        raise Unauthorized("This API key is not valid: expected `Authorization: Bearer sk-...`.")
    return key
