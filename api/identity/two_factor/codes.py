"""Codes against what is stored: whose they are, whether they are good, and that each counts once.

A person's secret is sealed with the key that the installation's own organization holds for them: the second factor is
one and the same in whichever organization they work. A guess is counted before it is looked at, so that a thousand
guesses at once are not a thousand chances.
"""

import time
from dataclasses import dataclass
from typing import Any

from api.audit.record import record
from api.context import Context
from api.db import two_factor
from api.db.session import Database, Unit
from api.identity.people import scope_of
from api.identity.throttle import Throttle
from api.identity.two_factor import recovery, totp
from api.scope import DEFAULT_ORGANIZATION, Scope
from api.vault.keys import Owner
from api.vault.vault import Vault
from configs.errors import CodeRefused, CodeSignInRefused, Conflict, TwoFactorRequired
from configs.seal import aad_of, open_sealed, seal

WRONG = "This code is wrong, too old or used."
ALREADY_ON = "An authenticator app is set up already: turn it off first."
PENDING_S = 900.0
"""How long a secret waits for its first code."""

Person = dict[str, Any]
"""What `find_login` tells of a person."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A good code that was not used yet: a time step of a sealed secret, or the digest of a recovery code."""

    method: str
    step: int = 0
    secret: bytes = b""
    digest: bytes = b""


class Codes:
    """Checks codes, and keeps new secrets."""

    def __init__(self, database: Database, vault: Vault, throttle: Throttle) -> None:
        self._database = database
        self._vault = vault
        self._throttle = throttle

    async def prove(self, context: Context, person: Person, code: str | None) -> str:
        """The second factor of a sign-in; how it was shown, `totp` or `recovery_code`.

        Raises:
            TwoFactorRequired: there is no code.
            CodeSignInRefused: it is not good.
            Overloaded: too many were not.
        """
        if code is None:
            raise TwoFactorRequired(
                "Send the code of your authenticator app, or a recovery code, as `code`.", param="code"
            )
        try:
            proof = await self.check(context, person, code)
            async with self._database.unit(home_of(person["user_id"])) as unit:
                await self.spend(unit, person["user_id"], proof)
        except CodeRefused as error:
            await self._refused(context, person)
            raise CodeSignInRefused(error.message, param="code") from None
        return proof.method

    async def check(self, context: Context, person: Person, code: str, *, pending: bool = False) -> Proof:
        """What makes a code good; `spend` uses it up. `pending`: for a secret that waits for its first code.

        Raises:
            CodeRefused: it is not good.
            Overloaded: too many were not.
        """
        account = person["email"] or person["user_id"]
        await self._throttle.take_code(account, context.address)
        proof = await self._pending(person, code) if pending else await self._found(person, code)
        if proof is None:
            await self._throttle.failed(account, context.address)
            raise CodeRefused(WRONG, param="code")
        await self._throttle.code_succeeded(account)
        return proof

    async def spend(self, unit: Unit, user_id: str, proof: Proof, *, confirm: bool = False) -> None:
        """Use a code up, in the unit of work of what it allows. `confirm`: the app counts from now on.

        Raises:
            CodeRefused: somebody was quicker.
        """
        if proof.digest:
            used = await two_factor.use_recovery_code(unit, user_id, proof.digest)
        else:
            used = await two_factor.use_step(unit, user_id, proof.step, secret=proof.secret, confirm=confirm)
        if not used:
            raise CodeRefused(WRONG, param="code")

    async def begin(self, user_id: str) -> str:
        """A new secret for an app; it counts once a code of it was confirmed.

        Raises:
            Conflict: there is an app already.
        """
        secret, scope = totp.new_secret(), home_of(user_id)
        async with self._database.unit(scope) as unit:
            key = await self._vault.key_for(unit, Owner("user", user_id, scope.organization_id))
            sealed = seal(key.key, secret.encode(), place_of(user_id))
            if not await two_factor.begin_totp(unit, user_id, key.id, sealed):
                raise Conflict(ALREADY_ON)
        return secret

    async def _found(self, person: Person, code: str) -> Proof | None:
        if totp.is_code(code):
            return await self._step(person["user_id"], code, confirmed=True)
        digest = recovery.digest_of(code)
        if digest is None:
            return None
        async with self._database.unit(home_of(person["user_id"])) as unit:
            known = await two_factor.has_recovery_code(unit, person["user_id"], digest)
        return Proof("recovery_code", digest=digest) if known else None

    async def _pending(self, person: Person, code: str) -> Proof | None:
        return await self._step(person["user_id"], code, confirmed=False)

    async def _step(self, user_id: str, code: str, *, confirmed: bool) -> Proof | None:
        now = time.time()
        async with self._database.unit(home_of(user_id)) as unit:
            row = await two_factor.totp(unit, user_id)
            if row is None or (row.confirmed_at is not None) != confirmed:
                return None
            if not confirmed and now - row.created_at.timestamp() > PENDING_S:
                return None
            key = await self._vault.key(unit, row.data_key_id)
        secret = open_sealed(key.key, row.secret, place_of(user_id)).decode()
        step = totp.verify(secret, code, row.last_step, now)
        return Proof("totp", step, row.secret) if step is not None else None

    async def _refused(self, context: Context, person: Person) -> None:
        scope = scope_of(person)
        async with self._database.unit(scope) as unit:
            await record(
                unit, context, "session.begin", organization_id=scope.organization_id, actor=scope.user_id,
                outcome="refused", factor="code",
            )  # fmt: skip


def home_of(user_id: str) -> Scope:
    """The scope that a person's secret lies in, whatever their organizations are."""
    return Scope(DEFAULT_ORGANIZATION, user_id)


def place_of(user_id: str) -> bytes:
    """Where a sealed secret belongs."""
    return aad_of("totp_secrets", user_id, "secret", DEFAULT_ORGANIZATION)
