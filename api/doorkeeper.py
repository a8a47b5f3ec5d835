"""The one authenticator: a request's headers to a Principal, or an error.

A credential is an API key (`sk-...`) or the access token of a session. Known ones are answered from memory for at most
60 s, so that a database that is down stops nobody who was let in before; unknown ones are refused while it is down. A
revocation, a demotion, an ended session are broadcast: they take effect at once, on answers that stream as well.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.db import keys as key_queries
from api.db import logins
from api.db.session import Database
from api.identity.claims import TokenReader
from api.keys import PREFIX, digest_of
from api.principal import Permission, Principal
from api.roles import narrowed, permissions_of
from api.scope import DEFAULT_ORGANIZATION, Scope
from configs.errors import Forbidden, SecondFactorMissing, TwoFactorSetupRequired, Unauthorized, Unavailable

log = logging.getLogger(__name__)

FRESH_S = 60.0
RENEW_S = 45.0
RENEWED_AT_ONCE = 100
"""Some milliseconds of the loop. One by one at FRESH_S, ten thousand keys would cost a fifth of the requests' CPU."""
OUTAGE_S = 600.0
MAX_CREDENTIAL_BYTES = 2048
MAX_KEY_BYTES = 512
MAX_KNOWN = 100_000
KEY = PREFIX.encode()
INVALID = "This API key is not valid. `manta keys create` makes one."
SECOND_FACTORS = frozenset({"totp", "recovery_code", "passkey"})
"""Ways to prove a session that show more than a password; a passkey is both factors."""
NOT_SHOWN = "Show your second factor first: send a code to /api/auth/totp/verify, or sign in with a passkey."
ENDED = "This session has ended: sign in again."


@dataclass(slots=True)
class Known:
    """Who a credential belongs to, as read at `read_at`; it ends at `ends_at` (both monotonic). `met`: used since."""

    principal: Principal
    read_at: float
    ends_at: float
    met: bool = False

    def good(self, now: float, age_s: float) -> bool:
        """Whether it is younger than `age_s`, and its key has not expired."""
        return now - self.read_at < age_s and now < self.ends_at


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """An answer that is under way, and how to end it."""

    credential: bytes
    permission: Permission
    cut: Callable[[Unauthorized | Forbidden], object]


class Doorkeeper:
    """Admits requests; holds digests, never keys."""

    def __init__(self, database: Database, tokens: TokenReader) -> None:
        self._database = database
        self._tokens = tokens
        self._known: dict[bytes, Known] = {}
        self._forgotten: set[bytes] = set()
        self._changes = 0
        self._used: dict[str, tuple[str, datetime]] = {}
        self._watches: set[Watch] = set()
        self._checking: asyncio.Task[None] | None = None

    async def admit(self, scope: MutableMapping[str, Any], permission: Permission) -> Principal:
        """The caller of this request.

        Raises:
            Unauthorized: no credential, or none that is good.
            Forbidden: a good one without `permission`.
            Unavailable: it is not known yet and the database is down.
        """
        return check(await self._recognise(presented(scope["headers"])), permission)

    def watch(
        self,
        scope: MutableMapping[str, Any],
        permission: Permission,
        cut: Callable[[Unauthorized | Forbidden], object],
    ) -> Watch:
        """Call `cut` when the caller of this admitted request loses the right to its answer; see `unwatch`."""
        watch = Watch(presented(scope["headers"]), permission, cut)
        self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """The answer is over."""
        self._watches.discard(watch)

    def forget(self) -> None:
        """A key, a session or a role changed somewhere: ask the database again for each."""
        self._forgotten |= {digest for digest, known in self._known.items() if known.met and known.principal.key_id}
        self._known.clear()
        self._changes += 1
        if self._watches and (self._checking is None or self._checking.done()):
            self._checking = asyncio.get_running_loop().create_task(self._check_watches())

    async def renew(self) -> None:
        """Read keys in use again, many at a time: those whose minute is nearly over, and those that were forgotten.

        Raises:
            Unavailable: the database is down; what is known stays.
        """
        old = time.monotonic() - RENEW_S
        due = [digest for digest, known in self._known.items() if known.met and known.read_at <= old]
        forgotten, self._forgotten = self._forgotten, set()
        due = [digest for digest in due if self._known[digest].principal.key_id] + list(forgotten - self._known.keys())
        for start in range(0, len(due), RENEWED_AT_ONCE):
            await self._renew(due[start : start + RENEWED_AT_ONCE])

    async def _renew(self, digests: Sequence[bytes]) -> None:
        changes, now = self._changes, time.monotonic()
        async with self._database.unit() as session:
            keys = await key_queries.find_many(session, digests)
        if changes != self._changes:
            return
        for digest in digests:
            found = key_as_known(keys.get(digest), now)
            if found is None:
                self._known.pop(digest, None)
            else:
                self._remember(digest, found)

    def take_used(self) -> dict[str, dict[str, datetime]]:
        """When keys were used since the last call, by organization."""
        used, self._used = self._used, {}
        grouped: dict[str, dict[str, datetime]] = {}
        for key_id, (organization_id, at) in used.items():
            grouped.setdefault(organization_id, {})[key_id] = at
        return grouped

    async def note_used(self) -> None:
        """Write down when keys were used.

        Raises:
            Unavailable: the database is down; what was taken is lost, for it is a hint.
        """
        for organization_id, used in self.take_used().items():
            async with self._database.unit(Scope(organization_id)) as session:
                await key_queries.touch(session, used)

    async def _check_watches(self) -> None:
        changes = -1
        while changes != self._changes:
            changes = self._changes
            for watch in list(self._watches):
                try:
                    check(await self._recognise(watch.credential), watch.permission)
                except (Unauthorized, Forbidden) as error:
                    if watch in self._watches:
                        watch.cut(error)
                except Unavailable:
                    log.info("the database is away; answers under way go on")

    async def _recognise(self, credential: bytes) -> Principal:
        digest = digest_of(credential)
        known, changes, now = self._known.get(digest), self._changes, time.monotonic()
        if known is not None and known.good(now, FRESH_S):
            known.met = True
            return known.principal
        try:
            found = await self._look_up(credential, digest, now)
        except Unavailable:
            if known is not None and known.good(now, OUTAGE_S):
                return known.principal
            raise
        if found is None:
            self._known.pop(digest, None)
            raise Unauthorized(INVALID if credential.startswith(KEY) else ENDED)
        if changes == self._changes:  # else it may have been revoked after it was read
            self._remember(digest, found)
        return found.principal

    def _remember(self, digest: bytes, found: Known) -> None:
        """Keys are only read because they are used, or were within the minute."""
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[digest] = found
        if found.principal.key_id is not None:
            self._used[found.principal.key_id] = (found.principal.organization_id, datetime.now(UTC))

    async def _look_up(self, credential: bytes, digest: bytes, now: float) -> Known | None:
        if credential.startswith(KEY):
            async with self._database.unit() as session:
                return key_as_known(await key_queries.find(session, digest), now)
        claims = self._tokens.read(credential)
        async with self._database.unit() as session:
            found = await logins.find(session, "session", f"{claims.session_id}\n{claims.organization_id}")
        principal = principal_of_session(found)
        if principal is None or principal.user_id != claims.user_id:
            return None
        return Known(principal, now, now + claims.expires_at - time.time())


def key_as_known(key: dict[str, Any] | None, now: float) -> Known | None:
    """What `find_key` told, as who may do what until when; a person's key is never more than the person."""
    if key is None:
        return None
    permissions, user_id = frozenset(key["permissions"]), key["user_id"]
    if user_id is not None:
        if key["status"] != "active" or key["role"] is None:
            return None
        permissions = narrowed(permissions, permissions_of(key["role"], key["role_permissions"]))
    models = frozenset(key["models"]) if key["models"] is not None else None
    left_s = math.inf if key["expires_at"] is None else key["expires_at"] - time.time()
    principal = Principal(key["organization_id"], permissions, key["id"], user_id, models=models)
    return Known(principal, now, now + left_s)


def principal_of_session(found: dict[str, Any] | None) -> Principal | None:
    """What `find_login` told of a session, as who may do what; None when it is over.

    Whom no organization has may see to their own account, in the organization that runs the installation.
    """
    if found is None or found["ended"] or found["status"] != "active":
        return None
    if found["role"] is None and found["organization_id"] != DEFAULT_ORGANIZATION:
        return None
    has, shown = found["two_factor"], not SECOND_FACTORS.isdisjoint(found["methods"])
    return Principal(
        found["organization_id"],
        permissions_of(found["role"], found["role_permissions"]),
        user_id=found["user_id"],
        session_id=found["session_id"],
        needs_second_factor=(found["two_factor_required"] or found["totp"]) and not (has and shown),
        has_second_factor=has,
    )


def check(principal: Principal, permission: Permission) -> Principal:
    """The principal, if it holds `permission`.

    Raises:
        Forbidden: it does not.
    """
    if principal.may(permission):
        return principal
    if principal.needs_second_factor and principal.has_second_factor:
        raise SecondFactorMissing(NOT_SHOWN)
    if principal.needs_second_factor:
        raise TwoFactorSetupRequired("Your role asks for a second factor: set one up at /api/auth/totp first.")
    raise Forbidden(f"This key may not do that: it lacks the permission {permission.value!r}.")


def presented(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The key or access token that a request carries in its one `Authorization: Bearer` header.

    Raises:
        Unauthorized: none, two, or one that cannot be a credential.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise Unauthorized("No API key: send it as `Authorization: Bearer sk-...`.")
    scheme, _, credential = given[0].partition(b" ")
    longest = MAX_KEY_BYTES if credential.startswith(KEY) else MAX_CREDENTIAL_BYTES
    is_one = credential.startswith(KEY) or credential.count(b".") == 2  # noqa: PLR2004  a JWT's
    if len(given) > 1 or scheme.lower() != b"bearer" or len(credential) > longest or not is_one:
        raise Unauthorized("This API key is not valid: expected `Authorization: Bearer sk-...`.")
    return credential
