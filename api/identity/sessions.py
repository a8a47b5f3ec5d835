"""Sessions: a short access token, and a refresh token that changes at each use.

A refresh token that is shown twice was stolen, from us or from the person: the whole session ends. Only the last one
may be repeated for some seconds, while nobody went on from it: an answer can be lost, and two tabs can ask at once. All
tokens of a session begin alike, so that an old one is known as such although its row is gone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.audit.record import record
from api.context import Context
from api.db import accounts, logins
from api.db import sessions as session_queries
from api.db.notifications import notify
from api.db.session import Database, Unit
from api.identity.people import scope_of
from api.identity.secrets import digest_of, new_secret
from api.identity.tokens import AccessTokens
from api.ids import new_id
from api.scope import DEFAULT_ORGANIZATION, Scope
from configs.errors import Unauthorized
from configs.identity_specs import IdentitySpec

MAX_AGENT = 300
GRACE = timedelta(seconds=30)
"""Longer than a unit of work may take (8 s), its `Retry-After` and the next attempt together."""
OVER = "This session has ended: sign in again."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a browser gets: the access token in the answer, the refresh token in a cookie."""

    access_token: str
    expires_in: int
    refresh_token: str
    user_id: str
    session_id: str
    organization_id: str


class Sessions:
    """Begins, renews and ends them."""

    def __init__(self, database: Database, tokens: AccessTokens, settings: IdentitySpec) -> None:
        self._database = database
        self._tokens = tokens
        self._longest = timedelta(days=settings.session_max_days)
        self._lifetime = min(timedelta(days=settings.session_days), self._longest)

    @property
    def seconds(self) -> int:
        """How long one lasts without being used."""
        return int(self._lifetime.total_seconds())

    async def begin(
        self, unit: Unit, context: Context, user_id: str, organization_id: str, methods: list[str], user_agent: str
    ) -> SignedIn:
        """A new session, in the unit of work that let the person in; its scope is that person's."""
        session_id = new_id("sess")
        family, family_digest = new_secret()
        await session_queries.add(
            unit,
            session_id=session_id,
            user_id=user_id,
            organization_id=organization_id,
            family=family_digest,
            methods=methods,
            user_agent=user_agent[:MAX_AGENT],
            address=context.address,
            lifetime=self._lifetime,
        )
        await accounts.change(unit, user_id, last_login_at=datetime.now(UTC))
        await record(
            unit,
            context,
            "session.begin",
            organization_id=organization_id,
            actor=user_id,
            target=session_id,
            methods=methods,
        )
        return await self._renewed(unit, Scope(organization_id, user_id), session_id, family, 0)

    async def renew(self, context: Context, refresh_token: str, organization_id: str | None = None) -> SignedIn:
        """The next tokens of a session, in the same or another organization of the person.

        Raises:
            Unauthorized: the token is unknown or over; one that was used before ends the session.
        """
        family, _, _ = refresh_token.partition(".")
        async with self._database.unit() as unit:
            found = await logins.find(unit, "refresh", digest_of(family).hex())
        if found is None or found["ended"]:
            raise Unauthorized(OVER)
        user_id, session_id = found["user_id"], found["session_id"]
        scope = Scope(found["organization_id"], user_id)
        async with self._database.unit(scope) as unit:
            number = await session_queries.use_refresh(unit, session_id, digest_of(refresh_token), GRACE)
            if number is not None:
                wanted = await self._place(unit, user_id, found["organization_id"], organization_id)
                await session_queries.touch(
                    unit, session_id, self._lifetime, self._longest, organization_id=wanted, renewals=number
                )
                return await self._renewed(unit, Scope(wanted, user_id), session_id, family, number)
        await self.end(context, scope, [session_id], reason="a refresh token was used twice")
        raise Unauthorized(OVER)

    async def end(self, context: Context, scope: Scope, session_ids: list[str], *, reason: str) -> None:
        """End sessions of the person in `scope`, at once on every ingress."""
        async with self._database.unit(scope) as unit:
            for session_id in session_ids:
                for ended in await session_queries.end(unit, scope.user_id, session_id):
                    await record(
                        unit,
                        context,
                        "session.end",
                        organization_id=scope.organization_id,
                        actor=scope.user_id,
                        target=ended,
                        reason=reason,
                    )
            await notify(unit, logins.CHANNEL)

    async def _place(self, unit: Unit, user_id: str, now: str, wanted: str | None) -> str:
        """Where a session goes on: in the organization that is wanted, else where it is `now`.

        One of a person whom no organization had goes on in the first that has them.
        """
        person = await logins.find(unit, "user", user_id)
        if person is None or person["status"] != "active":
            raise Unauthorized(OVER)
        memberships = {each["organization_id"] for each in person["memberships"]}
        if (wanted or now) in memberships:
            return wanted or now
        if (wanted or now) == DEFAULT_ORGANIZATION and (wanted is None or not memberships):
            return scope_of(person).organization_id
        raise Unauthorized(OVER)

    async def _renewed(self, unit: Unit, scope: Scope, session_id: str, family: str, number: int) -> SignedIn:
        refresh_token = f"{family}.{new_secret()[0]}"
        await session_queries.add_refresh(unit, digest_of(refresh_token), session_id, scope.user_id, number)
        access_token, expires_in = self._tokens.issue(scope.user_id, session_id, scope.organization_id)
        return SignedIn(access_token, expires_in, refresh_token, scope.user_id, session_id, scope.organization_id)
