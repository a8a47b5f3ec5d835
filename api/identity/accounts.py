"""Accounts: made, entered, and their passwords changed. It knows no HTTP but the context of the request."""

from dataclasses import replace
from typing import Any

from api.audit.record import record
from api.context import Context
from api.db import accounts, logins
from api.db import sessions as session_queries
from api.db.notifications import notify
from api.db.session import Database, Unit
from api.identity.hasher import Hasher
from api.identity.mailer import Mailer
from api.identity.newcomers import BAD_LINK, FIRST_ADMIN, Newcomer, place_of, settle
from api.identity.people import checked_email, scope_of
from api.identity.registration import Rule
from api.identity.secrets import digest_of, new_secret
from api.identity.sessions import Sessions, SignedIn
from api.identity.throttle import Guessing, Throttle, network_of
from api.identity.two_factor.codes import Codes
from api.ids import new_id
from api.scope import INSTALLATION, Scope
from configs.errors import BadRequest, Conflict, Unauthorized

WRONG = "The e-mail address or the password is wrong."
HAS_ACCOUNT = (
    "An account with this e-mail address exists already: sign in, or reset its password. "
    "An invitation is then accepted at POST /api/invitations/accept."
)
NOBODY = "nobody"
"""Who was refused with an address that no account has."""
VERIFY, RESET = "verify_email", "reset_password"
LIVES_S = {FIRST_ADMIN: 7 * 86400.0, VERIFY: 86400.0, RESET: 3600.0}


class Accounts:
    """What people do with their accounts before and after they are known."""

    def __init__(
        self,
        database: Database,
        hasher: Hasher,
        sessions: Sessions,
        throttle: Throttle,
        codes: Codes,
        mailer: Mailer | None,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._sessions = sessions
        self._throttle = throttle
        self._codes = codes
        self._mailer = mailer

    async def register(self, context: Context, newcomer: Newcomer, password: str, rule: Rule) -> SignedIn:
        """Make an account and sign in.

        Raises:
            Forbidden: nobody, or only invited people, may register here.
            Conflict: the address has an account.
            BadRequest: the address is none, or the link is used or over.
            Overloaded: too many came from there.
        """
        email = checked_email(newcomer.email or "")
        newcomer = replace(newcomer, email=email)
        place = await place_of(self._database, newcomer, rule)
        await self._throttle.take(Guessing.REGISTRATION, context.address)
        async with self._database.unit() as unit:  # before the hash: only who gets an account is worth one
            if await logins.find(unit, "email", email) is not None:
                raise Conflict(HAS_ACCOUNT, param="email")
        password_hash, user_id = await self._hasher.hash(password, network_of(context.address)), new_id("user")
        proven = place.proves_email
        async with self._database.unit(Scope(place.organization_id, user_id)) as unit:
            await settle(unit, context, newcomer, place, user_id, password_hash=password_hash, email_verified=proven)
            signed_in = await self._sessions.begin(
                unit, context, user_id, place.organization_id, ["password"], newcomer.user_agent
            )
            link = None if proven else await self._verification(unit, user_id, email)
        if link is not None and self._mailer is not None:
            self._mailer.send(email, "verify", path=link)
        return signed_in

    async def login(
        self,
        context: Context,
        email: str,
        password: str,
        user_agent: str,
        organization_id: str | None = None,
        code: str | None = None,
    ) -> SignedIn:
        """Sign in with a password, and a code where the second factor is on.

        An unknown address takes as long as a wrong password, and says the same.

        Raises:
            Unauthorized: one of the two is wrong.
            TwoFactorRequired: both are right, and a code is missing.
            CodeSignInRefused: both are right, and the code is not.
            Overloaded: too many wrong guesses.
        """
        person = await self.proven(context, email, password)
        methods = ["password"]
        if person["totp"]:
            methods.append(await self._codes.prove(context, person, code))
        return await self.enter(context, person, methods, user_agent, organization_id)

    async def proven(self, context: Context, email: str, password: str) -> dict[str, Any]:
        """The person whose password this is, as `find_login` tells it. Errors: see `login`."""
        account = email.strip().lower()
        await self._throttle.check(account, context.address)
        async with self._database.unit() as unit:
            person = await logins.find(unit, "email", account)
        stored = person["password_hash"] if person is not None else None
        verdict = await self._hasher.verify(password, stored, network_of(context.address))
        if person is None or not verdict.ok or person["status"] != "active":
            await self._refused(context, account, person)
            raise Unauthorized(WRONG)
        if not person["totp"]:  # else the code is guessed at as well
            await self._throttle.succeeded(account)
        if verdict.new_hash is not None:
            async with self._database.unit(scope_of(person)) as unit:
                await accounts.change(unit, person["user_id"], password_hash=verdict.new_hash)
        return person

    async def enter(
        self,
        context: Context,
        person: dict[str, Any],
        methods: list[str],
        user_agent: str,
        organization_id: str | None = None,
    ) -> SignedIn:
        """A session for a person who proved who they are.

        Raises:
            Forbidden: the person is no member of that organization.
        """
        scope = scope_of(person, organization_id)
        async with self._database.unit(scope) as unit:
            return await self._sessions.begin(unit, context, scope.user_id, scope.organization_id, methods, user_agent)

    async def change_password(self, context: Context, new: str) -> None:
        """Change the caller's password; every other session of theirs ends. That it is them was proven before."""
        principal = context.principal
        assert principal is not None
        assert principal.user_id is not None
        password_hash = await self._hasher.hash(new, network_of(context.address))
        async with self._database.unit(principal.scope) as unit:
            await self._set_password(unit, principal.user_id, password_hash, but=principal.session_id)
            await record(unit, context, "user.password", target=principal.user_id)
            await notify(unit, logins.CHANNEL)

    async def ask_for_reset(self, email: str) -> None:
        """Send a link to choose a new password, if there is such an account."""
        account = email.strip().lower()
        async with self._database.unit() as unit:
            person = await logins.find(unit, "email", account)
        if person is None or person["status"] != "active" or self._mailer is None:
            return

        async def link() -> str:  # later: making it would tell by its time that there is such an account
            async with self._database.unit(scope_of(person)) as unit:
                return await link_of(unit, RESET, person["user_id"], account)

        self._mailer.send(account, "reset", path=link)

    async def reset_password(self, context: Context, token: str, new: str) -> None:
        """Choose a new password by a link; every session ends.

        Raises:
            BadRequest: the link is used or over.
        """
        person = await self._of_link(RESET, token)
        password_hash = await self._hasher.hash(new, network_of(context.address))
        scope = scope_of(person)
        async with self._database.unit(scope) as unit:
            if not await accounts.use_token(unit, digest_of(token), RESET):
                raise BadRequest(BAD_LINK, param="token")
            await self._set_password(unit, scope.user_id, password_hash)
            await record(
                unit, context, "user.password", organization_id=scope.organization_id, actor=scope.user_id, by="link"
            )
            await notify(unit, logins.CHANNEL)
        await self._throttle.succeeded(person["email"])

    async def verify_email(self, context: Context, token: str) -> None:
        """Confirm an address by a link.

        Raises:
            BadRequest: the link is used or over, or the address has changed since.
        """
        person = await self._of_link(VERIFY, token)
        scope = scope_of(person)
        async with self._database.unit(scope) as unit:
            if not await accounts.use_token(unit, digest_of(token), VERIFY):
                raise BadRequest(BAD_LINK, param="token")
            user = await accounts.get(unit, person["user_id"])
            assert user is not None
            await accounts.change(unit, user.id, email_verified_at=user.updated_at)
            await record(
                unit, context, "user.verify", organization_id=scope.organization_id, actor=user.id, target=user.id
            )

    async def _set_password(self, unit: Unit, user_id: str, password_hash: str, but: str | None = None) -> None:
        await accounts.change(unit, user_id, password_hash=password_hash)
        await accounts.void_tokens(unit, user_id, RESET)
        await session_queries.end(unit, user_id, but=but)

    async def _of_link(self, purpose: str, token: str) -> dict[str, Any]:
        async with self._database.unit() as unit:
            found = await logins.find(unit, "token", digest_of(token).hex())
            if found is None or not found["good"] or found["purpose"] != purpose or found["user_id"] is None:
                raise BadRequest(BAD_LINK, param="token")
            person = await logins.find(unit, "user", found["user_id"])
        if person is None or person["status"] != "active" or person["email"] != found["email"]:
            raise BadRequest(BAD_LINK, param="token")
        return person

    async def _verification(self, unit: Unit, user_id: str, email: str) -> str | None:
        return await link_of(unit, VERIFY, user_id, email) if self._mailer is not None else None

    async def _refused(self, context: Context, account: str, person: dict[str, Any] | None) -> None:
        """Count it and write it down, with the same work whether somebody has that address or not."""
        await self._throttle.failed(account, context.address)
        scope = scope_of(person) if person is not None else INSTALLATION
        async with self._database.unit(scope) as unit:
            await record(
                unit,
                context,
                "session.begin",
                organization_id=scope.organization_id,
                actor=scope.user_id or NOBODY,
                outcome="refused",
            )


async def link_of(unit: Unit, purpose: str, user_id: str, email: str) -> str:
    """A link that is used once; the secret is behind `#`, which browsers send to nobody."""
    token, digest = new_secret()
    await accounts.add_token(unit, digest, purpose, user_id=user_id, email=email, lifetime_s=LIVES_S[purpose])
    return f"/welcome#{purpose}={token}"
