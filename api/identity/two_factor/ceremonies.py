"""Passkeys against what is stored: registered by a person who is signed in, and a way to sign in that is both factors.

A challenge lies in `ceremonies` under its own SHA-256, and the browser's answer brings it back: taking the row is what
makes it good once. It is taken before anything is checked, so that a wrong answer uses it up as well.
"""

import hashlib
from typing import Any

from api.audit.record import record
from api.context import Context
from api.db import ceremonies, logins, two_factor
from api.db import sessions as session_queries
from api.db.notifications import notify
from api.db.session import Database
from api.db.tables import Passkey
from api.identity.accounts import Accounts
from api.identity.people import scope_of
from api.identity.sessions import SignedIn
from api.identity.two_factor import passkeys
from api.identity.two_factor.passkeys import Answer, Credential
from api.identity.two_factor.recent import caller_of, insist
from api.identity.two_factor.relying_party import relying_party
from api.ids import new_id
from configs.errors import Conflict, NotFound, PasskeyRefused, PasskeySignInRefused
from configs.specs import GeneralSettings

REGISTER, SIGN_IN = "passkey.register", "passkey.login"
MOST = 25
"""Passkeys of one person."""
OVER = "This passkey's request is over or was used: start again."
UNKNOWN = "This passkey is not known here: sign in another way, and register it in your account."


class Passkeys:
    """The two ceremonies, each in two steps."""

    def __init__(self, database: Database, accounts: Accounts, settings: GeneralSettings) -> None:
        self._database = database
        self._accounts = accounts
        self._settings = settings

    async def all_of(self, context: Context) -> list[Passkey]:
        """The caller's passkeys."""
        principal = context.principal
        assert principal is not None
        async with self._database.unit(principal.scope) as unit:
            return await two_factor.passkeys(unit, principal.user_id or "")

    async def ask_to_register(self, context: Context, host: bytes, password: str | None) -> dict[str, Any]:
        """Options for `navigator.credentials.create`.

        Raises:
            PasskeyRefused: this installation has no domain to make passkeys for.
            Conflict: the caller has enough of them.
            ReauthenticationRequired, SecondFactorMissing, Unauthorized: see `insist`.
        """
        party = relying_party(self._settings, host)
        person = await insist(self._database, self._accounts, context, password)
        known = await self.all_of(context)
        if len(known) >= MOST:
            raise Conflict(f"You have {MOST} passkeys: remove one first.")
        handle = known[0].user_handle if known else passkeys.new_handle()
        account = person["email"] or person["user_id"]
        begun = passkeys.registration(party, account, handle, [each.credential_id for each in known])
        payload = {"user_id": person["user_id"], "handle": handle.hex()}
        await self._begin(begun.challenge, REGISTER, payload)
        return begun.options

    async def register(self, context: Context, host: bytes, answer: Answer, name: str) -> Passkey:
        """Keep the passkey that an authenticator made.

        Raises:
            PasskeyRefused: the answer is not good, or not for the caller.
            Conflict: the passkey is registered already.
        """
        challenge = passkeys.challenge_of(answer)
        asked = await self._taken(challenge, REGISTER)
        session, person = await caller_of(self._database, context)
        if asked is None or asked["user_id"] != person["user_id"]:
            raise PasskeyRefused(OVER)
        party = relying_party(self._settings, host)
        made = passkeys.verify_registration(party, answer, challenge, bytes.fromhex(asked["handle"]))
        assert context.principal is not None
        async with self._database.unit(context.principal.scope) as unit:
            row = await two_factor.add_passkey(unit, row_of(person["user_id"], made, name))
            await session_queries.add_method(unit, session["session_id"], "passkey")
            await record(unit, context, "two_factor.enable", target=person["user_id"], factor="passkey", id=row.id)
            await notify(unit, logins.CHANNEL)
        return row

    async def remove(self, context: Context, passkey_id: str, password: str | None) -> None:
        """Remove one of the caller's passkeys.

        Raises:
            NotFound: there is none of that id.
            ReauthenticationRequired, SecondFactorMissing, Unauthorized: see `insist`.
        """
        person = await insist(self._database, self._accounts, context, password)
        assert context.principal is not None
        async with self._database.unit(context.principal.scope) as unit:
            if not await two_factor.remove_passkey(unit, person["user_id"], passkey_id):
                raise NotFound("There is no such passkey.", param="passkey_id")
            await record(unit, context, "two_factor.disable", target=person["user_id"], factor="passkey", id=passkey_id)
            await notify(unit, logins.CHANNEL)

    async def ask_to_sign_in(self, host: bytes) -> dict[str, Any]:
        """Options for `navigator.credentials.get`; they name nobody.

        Raises:
            PasskeyRefused: this installation has no domain that passkeys are made for.
        """
        begun = passkeys.authentication(relying_party(self._settings, host))
        await self._begin(begun.challenge, SIGN_IN, {})
        return begun.options

    async def sign_in(
        self, context: Context, host: bytes, answer: Answer, user_agent: str, organization_id: str | None = None
    ) -> SignedIn:
        """A session for the person whose passkey signed.

        Raises:
            PasskeySignInRefused: the passkey is unknown, or the answer is not good.
            Forbidden: the person is no member of that organization.
        """
        challenge, credential_id = passkeys.challenge_of(answer), passkeys.credential_id_of(answer)
        if await self._taken(challenge, SIGN_IN) is None:
            raise PasskeySignInRefused(OVER)
        async with self._database.unit() as unit:
            person = await logins.find(unit, "passkey", credential_id.hex())
        if person is None or person["status"] != "active":
            raise PasskeySignInRefused(UNKNOWN)
        try:
            await self._use(host, answer, challenge, person, credential_id)
        except PasskeySignInRefused:
            await self._refused(context, person)
            raise
        return await self._accounts.enter(context, person, ["passkey"], user_agent, organization_id)

    async def _use(
        self, host: bytes, answer: Answer, challenge: bytes, person: dict[str, Any], credential_id: bytes
    ) -> None:
        public_key, handle = bytes.fromhex(person["public_key"]), bytes.fromhex(person["user_handle"])
        known = Credential(credential_id, public_key, person["sign_count"], handle)
        party = relying_party(self._settings, host)
        count = passkeys.verify_authentication(party, answer, challenge, known)
        async with self._database.unit(scope_of(person)) as unit:
            if not await two_factor.use_passkey(unit, person["passkey_id"], known.sign_count, count):
                raise PasskeySignInRefused(OVER)

    async def _begin(self, challenge: bytes, kind: str, payload: dict[str, Any]) -> None:
        async with self._database.unit() as unit:
            await ceremonies.begin(unit, digest_of(challenge), kind, payload, lifetime_s=passkeys.LIFETIME_S)

    async def _taken(self, challenge: bytes, kind: str) -> dict[str, Any] | None:
        async with self._database.unit() as unit:
            return await ceremonies.take(unit, digest_of(challenge), kind)

    async def _refused(self, context: Context, person: dict[str, Any]) -> None:
        scope = scope_of(person)
        async with self._database.unit(scope) as unit:
            await record(
                unit, context, "session.begin", organization_id=scope.organization_id, actor=scope.user_id,
                outcome="refused", factor="passkey",
            )  # fmt: skip


def row_of(user_id: str, made: Credential, name: str) -> Passkey:
    """A passkey as it is kept."""
    return Passkey(
        id=new_id("pk"),
        user_id=user_id,
        credential_id=made.credential_id,
        user_handle=made.user_handle,
        public_key=made.public_key,
        sign_count=made.sign_count,
        name=name,
    )


def digest_of(challenge: bytes) -> bytes:
    """What a ceremony is found by."""
    return hashlib.sha256(challenge).digest()
