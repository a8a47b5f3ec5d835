"""Acts that need the person and not just the session: a session of the last ten minutes, or the password once more.

Whoever has a second factor must also have shown it in this session: else who only knows the password, or only holds
the account at a provider, would give themselves a factor of their own.
"""

import time
from typing import Any

from api.context import Context
from api.db import logins, sessions
from api.db.session import Database
from api.doorkeeper import NOT_SHOWN, SECOND_FACTORS
from api.identity.accounts import Accounts
from api.scope import Scope
from configs.errors import BadRequest, ReauthenticationRequired, SecondFactorMissing

RECENT_S = 600.0


async def insist(database: Database, accounts: Accounts, context: Context, password: str | None) -> dict[str, Any]:
    """The caller as `find_login` tells them, if they are there now.

    Raises:
        SecondFactorMissing: they have a second factor, and this session did not show it.
        ReauthenticationRequired: the session is older, and there is no password.
        Unauthorized: the password is wrong.
    """
    session, person = await caller_of(database, context)
    check_shown(session)
    if password is not None and person["password_hash"] is not None:
        await accounts.proven(context, person["email"], password)
        async with database.unit(Scope(session["organization_id"], person["user_id"])) as unit:
            await sessions.add_method(unit, session["session_id"], "password")
    elif time.time() - session["authenticated_at"] > RECENT_S:
        raise ReauthenticationRequired("Send your password once more as `password`, or sign in again.")
    return person


async def insist_on_password(
    database: Database, accounts: Accounts, context: Context, password: str | None, param: str
) -> dict[str, Any]:
    """As `insist`, for what a recent session alone does not allow where the account has a password.

    Raises:
        BadRequest: it has one, and none was sent as `param`.
    """
    _, person = await caller_of(database, context)
    if person["password_hash"] is not None and password is None:
        raise BadRequest("Send the account's password once more.", param=param)
    return await insist(database, accounts, context, password)


def check_shown(session: dict[str, Any]) -> None:
    """Insist that a session showed the second factor, if its person has one.

    Raises:
        SecondFactorMissing: it did not.
    """
    if session["two_factor"] and SECOND_FACTORS.isdisjoint(session["methods"]):
        raise SecondFactorMissing(NOT_SHOWN)


async def caller_of(database: Database, context: Context) -> tuple[dict[str, Any], dict[str, Any]]:
    """The caller's session and person, as `find_login` tells them."""
    principal = context.principal
    assert principal is not None
    assert principal.session_id is not None
    assert principal.user_id is not None
    async with database.unit() as unit:
        session = await logins.find(unit, "session", principal.session_id)
        person = await logins.find(unit, "user", principal.user_id)
    assert session is not None
    assert person is not None
    return session, person
