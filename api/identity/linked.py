"""A person's identities at providers, for themselves: listed and removed, but never the last way to sign in."""

from collections.abc import Collection

from api.audit.record import record
from api.context import Context
from api.db import identities
from api.db.session import Database
from api.db.tables import Identity
from api.identity.accounts import Accounts
from api.identity.two_factor.recent import insist
from configs.errors import Conflict, NotFound

LAST = "This is your last way to sign in. Set a password or add a passkey first, or link another provider."


class LinkedIdentities:
    """What a signed-in person does with them. `issuers` are those that somebody can sign in with now."""

    def __init__(self, database: Database, accounts: Accounts, issuers: Collection[str]) -> None:
        self._database = database
        self._accounts = accounts
        self._issuers = issuers

    async def all_of(self, context: Context) -> list[Identity]:
        """The caller's identities."""
        principal = context.principal
        assert principal is not None
        assert principal.user_id is not None
        async with self._database.unit(principal.scope) as unit:
            return await identities.of_user(unit, principal.user_id)

    async def confirm(self, context: Context, password: str | None) -> None:
        """Insist that the caller is there now, before another way to sign in is added. Errors: see `insist`."""
        await insist(self._database, self._accounts, context, password)

    async def remove(self, context: Context, identity_id: str, password: str | None) -> None:
        """Remove one of the caller's identities.

        Raises:
            NotFound: there is none of that id.
            Conflict: there is no other way to sign in.
            ReauthenticationRequired, SecondFactorMissing, Unauthorized: see `insist`.
        """
        person = await insist(self._database, self._accounts, context, password)
        assert context.principal is not None
        async with self._database.unit(context.principal.scope) as unit:
            await identities.lock_person(unit, person["user_id"])
            rows = await identities.of_user(unit, person["user_id"])
            if identity_id not in {row.id for row in rows}:
                raise NotFound("There is no such identity.", param="identity_id")
            others = [row for row in rows if row.id != identity_id and row.issuer in self._issuers]
            if person["password_hash"] is None and not person["passkeys"] and not others:
                raise Conflict(LAST)
            await identities.remove(unit, identity_id)
            await record(unit, context, "identity.unlink", target=identity_id)
