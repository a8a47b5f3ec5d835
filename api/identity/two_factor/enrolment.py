"""A person's authenticator app from the first picture to the last code, and what an admin does about second factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.audit.record import record
from api.context import Context
from api.db import logins, organizations, two_factor
from api.db import sessions as session_queries
from api.db.notifications import notify
from api.db.session import Database, Unit
from api.identity.accounts import Accounts
from api.identity.two_factor import recovery, totp
from api.identity.two_factor.codes import Codes
from api.identity.two_factor.recent import caller_of, check_shown, insist
from api.identity.two_factor.relying_party import NAME
from api.principal import Permission, Principal
from api.roles import BUILT_IN, covers, permissions_of
from configs.errors import BadRequest, Conflict, Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Started:
    """What an app is set up with, by hand, by a link or by a picture."""

    secret: str
    uri: str
    svg: str


class Enrolment:
    """What people do with their own codes. Each act is an entry of the audit log in the same transaction."""

    def __init__(self, database: Database, codes: Codes, accounts: Accounts) -> None:
        self._database = database
        self._codes = codes
        self._accounts = accounts

    async def state(self, context: Context) -> dict[str, Any]:
        """What the caller has, and whether their role needs it."""
        session, _ = await caller_of(self._database, context)
        principal = known(context)
        async with self._database.unit(principal.scope) as unit:
            keys = await two_factor.passkeys(unit, session["user_id"])
            left = await two_factor.recovery_codes_left(unit, session["user_id"])
        return {
            "object": "two_factor",
            "totp": session["totp"],
            "passkeys": len(keys),
            "recovery_codes_left": left,
            "required": session["two_factor_required"],
        }

    async def start(self, context: Context, password: str | None) -> Started:
        """A new secret for an app; nothing counts before `confirm`.

        Raises:
            Conflict: there is an app already.
            ReauthenticationRequired, SecondFactorMissing, Unauthorized: see `insist`.
        """
        person = await insist(self._database, self._accounts, context, password)
        secret = await self._codes.begin(person["user_id"])
        uri = totp.provisioning_uri(secret, person["email"] or person["user_id"], NAME)
        return Started(secret, uri, totp.picture(uri))

    async def confirm(self, context: Context, code: str) -> list[str]:
        """The app's first code turns it on; the recovery codes. The person's other sessions end.

        Raises:
            CodeRefused: it is wrong, or the secret waited for more than 15 minutes.
            SecondFactorMissing: the caller has a passkey, and this session was begun without it.
        """
        session, person = await caller_of(self._database, context)
        check_shown(session)
        proof = await self._codes.check(context, person, code, pending=True)
        async with self._database.unit(known(context).scope) as unit:
            await self._codes.spend(unit, person["user_id"], proof, confirm=True)
            written = await self._new_codes(unit, person["user_id"])
            await self._shown(unit, context, proof.method)
            await session_queries.end(unit, person["user_id"], but=known(context).session_id)
            await record(unit, context, "two_factor.enable", target=person["user_id"], factor="totp")
            await notify(unit, logins.CHANNEL)
        return written

    async def show(self, context: Context, code: str) -> None:
        """Show the second factor in a session that was begun without it, or long ago.

        Raises:
            CodeRefused: the code is not good.
        """
        _, person = await caller_of(self._database, context)
        proof = await self._codes.check(context, person, code)
        async with self._database.unit(known(context).scope) as unit:
            await self._codes.spend(unit, person["user_id"], proof)
            await self._shown(unit, context, proof.method)
            await record(unit, context, "session.prove", target=known(context).session_id or "", method=proof.method)
            await notify(unit, logins.CHANNEL)

    async def stop(self, context: Context, code: str) -> None:
        """Turn the app off, by one of its codes or a recovery code.

        Raises:
            CodeRefused: the code is not good, or there is no app.
        """
        _, person = await caller_of(self._database, context)
        proof = await self._codes.check(context, person, code)
        async with self._database.unit(known(context).scope) as unit:
            await self._codes.spend(unit, person["user_id"], proof)
            await two_factor.remove_totp(unit, person["user_id"])
            await record(unit, context, "two_factor.disable", target=person["user_id"], factor="totp")
            await notify(unit, logins.CHANNEL)

    async def renew_codes(self, context: Context, code: str) -> list[str]:
        """Ten new recovery codes in place of all old ones.

        Raises:
            CodeRefused: the code is not good, or there is no app.
        """
        _, person = await caller_of(self._database, context)
        proof = await self._codes.check(context, person, code)
        async with self._database.unit(known(context).scope) as unit:
            await self._codes.spend(unit, person["user_id"], proof)
            written = await self._new_codes(unit, person["user_id"])
            await record(unit, context, "two_factor.recovery_codes", target=person["user_id"])
        return written

    async def required(self, principal: Principal) -> list[str]:
        """The roles of the caller's organization that work with a second factor only."""
        async with self._database.unit(principal.scope) as unit:
            return await two_factor.roles_of(unit, principal.organization_id)

    async def require(self, context: Context, roles: Sequence[str]) -> list[str]:
        """From now on these roles, and no others, work with a second factor only.

        Raises:
            BadRequest: there is no such role.
        """
        principal, wanted = known(context), sorted(set(roles))
        async with self._database.unit(principal.scope) as unit:
            names = [*BUILT_IN, *await organizations.roles(unit, principal.organization_id)]
            if not set(wanted) <= set(names):
                raise BadRequest(f"There is no role of that name; there are {', '.join(names)}.", param="roles")
            before = await two_factor.roles_of(unit, principal.organization_id)
            await two_factor.require_for(unit, principal.organization_id, wanted)
            await record(unit, context, "two_factor.require", before=before, after=wanted)
            await notify(unit, logins.CHANNEL)
        return wanted

    async def reset(self, context: Context, user_id: str) -> None:
        """Take somebody else's second factors away: they lost them. Their sessions here end.

        Raises:
            NotFound: no such member.
            Forbidden: it is the caller, or somebody whose role holds more.
            Conflict: they belong to other organizations too, whose admins did not decide this.
        """
        principal = known(context)
        if user_id == principal.user_id:
            raise Forbidden("Your own second factor is turned off at /api/auth/totp and /api/auth/passkeys.")
        async with self._database.unit(principal.scope) as unit:
            await self._check_reset(unit, principal, user_id)
            app, keys = await two_factor.remove_totp(unit, user_id), await two_factor.remove_passkeys(unit, user_id)
            await session_queries.end_in(unit, principal.organization_id, user_id)
            await record(unit, context, "two_factor.reset", target=user_id, totp=app, passkeys=keys)
            await notify(unit, logins.CHANNEL)

    async def _check_reset(self, unit: Unit, principal: Principal, user_id: str) -> None:
        found = await organizations.member(unit, principal.organization_id, user_id)
        if found is None:
            raise NotFound("There is no such user.", param="user_id")
        custom = await organizations.roles(unit, principal.organization_id)
        if not covers(principal.permissions, permissions_of(found[1], custom.get(found[1]))):
            raise Forbidden("You cannot reset the second factor of somebody whose role holds more than yours.")
        person = await logins.find(unit, "user", user_id)
        assert person is not None
        if len(person["memberships"]) > 1 and not principal.may(Permission.ORGANIZATIONS_WRITE):
            raise Conflict("This person belongs to other organizations too: an admin of the installation can do this.")

    async def _new_codes(self, unit: Unit, user_id: str) -> list[str]:
        written = recovery.new_codes()
        digests = [digest for each in written if (digest := recovery.digest_of(each)) is not None]
        await two_factor.replace_recovery_codes(unit, user_id, digests)
        return written

    async def _shown(self, unit: Unit, context: Context, method: str) -> None:
        session_id = known(context).session_id
        assert session_id is not None
        await session_queries.add_method(unit, session_id, method)


def known(context: Context) -> Principal:
    """The caller of a route that is not public."""
    assert context.principal is not None
    return context.principal
