"""Queries on second factors: secrets of authenticator apps, recovery codes, passkeys, and which roles need one.

A code counts once: each of these uses is one UPDATE that finds its row unused or does nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Organization, Passkey, RecoveryCode, TotpSecret
from configs.errors import Conflict

ROLES = "two_factor_roles"
"""The key in an organization's settings; `find_login` reads it too."""


async def totp(session: AsyncSession, user_id: str) -> TotpSecret | None:
    """A person's authenticator app, confirmed or not."""
    query = select(TotpSecret).where(TotpSecret.user_id == user_id)
    return (await session.scalars(query)).one_or_none()


async def begin_totp(session: AsyncSession, user_id: str, data_key_id: str, secret: bytes) -> bool:
    """Keep a sealed secret that waits for its first code, in place of another such one; False when one is confirmed."""
    row = insert(TotpSecret).values(user_id=user_id, data_key_id=data_key_id, secret=secret)
    again = row.on_conflict_do_update(
        index_elements=["user_id"],
        set_={"data_key_id": data_key_id, "secret": secret, "created_at": func.now(), "last_step": 0},
        where=TotpSecret.confirmed_at.is_(None),
    )
    return (await session.scalars(again.returning(TotpSecret.user_id))).one_or_none() is not None


async def use_step(session: AsyncSession, user_id: str, step: int, *, secret: bytes, confirm: bool = False) -> bool:
    """Use a time step up, for `confirm` the first one; False when it was used or the secret is another by now."""
    state = TotpSecret.confirmed_at.is_(None) if confirm else TotpSecret.confirmed_at.is_not(None)
    query = update(TotpSecret).where(
        TotpSecret.user_id == user_id, TotpSecret.last_step < step, TotpSecret.secret == secret, state
    )
    values = {"last_step": step, "confirmed_at": func.now()} if confirm else {"last_step": step}
    return (await session.scalars(query.values(values).returning(TotpSecret.user_id))).one_or_none() is not None


async def has_recovery_code(session: AsyncSession, user_id: str, digest: bytes) -> bool:
    """Whether this code is one of the person's, and unused."""
    query = select(RecoveryCode.digest).where(
        RecoveryCode.user_id == user_id, RecoveryCode.digest == digest, RecoveryCode.used_at.is_(None)
    )
    return (await session.scalars(query)).one_or_none() is not None


async def use_recovery_code(session: AsyncSession, user_id: str, digest: bytes) -> bool:
    """Use a recovery code up; False when it is none or was used."""
    query = (
        update(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.digest == digest, RecoveryCode.used_at.is_(None))
        .values(used_at=func.now())
        .returning(RecoveryCode.digest)
    )
    return (await session.scalars(query)).one_or_none() is not None


async def replace_recovery_codes(session: AsyncSession, user_id: str, digests: Sequence[bytes]) -> None:
    """New codes; the old ones, used or not, are gone."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    if digests:
        await session.execute(insert(RecoveryCode), [{"user_id": user_id, "digest": each} for each in digests])


async def recovery_codes_left(session: AsyncSession, user_id: str) -> int:
    """How many unused codes a person has."""
    query = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return await session.scalar(query) or 0


async def remove_totp(session: AsyncSession, user_id: str) -> bool:
    """Remove a person's app and recovery codes; False when there was no app."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    gone = await session.scalars(delete(TotpSecret).where(TotpSecret.user_id == user_id).returning(TotpSecret.user_id))
    return gone.one_or_none() is not None


async def passkeys(session: AsyncSession, user_id: str) -> list[Passkey]:
    """A person's passkeys, oldest first."""
    query = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.created_at, Passkey.id)
    return list(await session.scalars(query))


async def add_passkey(session: AsyncSession, row: Passkey) -> Passkey:
    """Keep a passkey.

    Raises:
        Conflict: this authenticator's credential is known already.
    """
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("This passkey is registered already.", param="credential") from error
    await session.refresh(row)
    return row


async def use_passkey(session: AsyncSession, passkey_id: str, before: int, after: int) -> bool:
    """Note a use and the authenticator's count; False when another use came in between, so that one counts once."""
    query = (
        update(Passkey)
        .where(Passkey.id == passkey_id, Passkey.sign_count == before)
        .values(sign_count=after, last_used_at=datetime.now(UTC))
        .returning(Passkey.id)
    )
    return (await session.scalars(query)).one_or_none() is not None


async def remove_passkey(session: AsyncSession, user_id: str, passkey_id: str) -> bool:
    """Remove one of a person's passkeys; False when there is none of that id."""
    query = delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id).returning(Passkey.id)
    return (await session.scalars(query)).one_or_none() is not None


async def remove_passkeys(session: AsyncSession, user_id: str) -> int:
    """Remove all of a person's passkeys; how many there were."""
    gone = await session.scalars(delete(Passkey).where(Passkey.user_id == user_id).returning(Passkey.id))
    return len(gone.all())


def as_json(row: Passkey) -> dict[str, Any]:
    """What a person is told of a passkey."""
    return {
        "id": row.id,
        "object": "passkey",
        "name": row.name,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
    }


async def roles_of(session: AsyncSession, organization_id: str) -> list[str]:
    """The roles that work with a second factor only."""
    settings = await session.scalar(select(Organization.settings).where(Organization.id == organization_id))
    return list((settings or {}).get(ROLES, []))


async def require_for(session: AsyncSession, organization_id: str, roles: Sequence[str]) -> None:
    """From now on these roles work with a second factor only."""
    settings = Organization.settings.concat({ROLES: list(roles)})
    await session.execute(update(Organization).where(Organization.id == organization_id).values(settings=settings))
