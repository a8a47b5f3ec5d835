"""The one authenticator: a request's headers to a Principal, or an error.

Known keys are answered from memory for at most 60 s, so that a database that is down stops nobody who was let in
before; unknown keys are refused while it is down. A revocation is broadcast and takes effect at once.
"""

import time
from collections.abc import MutableMapping
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
        self._known: dict[bytes, tuple[Principal, float]] = {}

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

    async def _recognise(self, digest: bytes) -> Principal:
        known = self._known.get(digest)
        now = time.monotonic()
        if known is not None and now - known[1] < FRESH_S:
            return known[0]
        try:
            principal = await self._look_up(digest)
        except Unavailable:
            if known is not None and now - known[1] < OUTAGE_S:
                return known[0]
            raise
        if principal is None:
            self._known.pop(digest, None)
            raise Unauthorized("This API key is not valid. `manta keys create` makes one.")
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[digest] = (principal, now)
        return principal

    async def _look_up(self, digest: bytes) -> Principal | None:
        async with self._database.unit() as session:
            key = await key_queries.find(session, digest)
        if key is None:
            return None
        return Principal(key.organization_id, key.id, frozenset(key.permissions))


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
