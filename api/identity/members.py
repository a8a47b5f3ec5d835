"""Who may change whom: nobody hands out more than they have, and an organization keeps an owner."""

from collections.abc import Mapping, Sequence

from api.db import organizations
from api.db.session import Unit
from api.principal import GRANTABLE, Principal
from api.roles import BUILT_IN, OWNER, covers, permissions_of
from configs.errors import BadRequest, Conflict, Forbidden


def check_role(caller: Principal, role: str, custom: Mapping[str, Sequence[str]], param: str = "role") -> None:
    """Let `caller` give a role.

    Raises:
        BadRequest: there is no such role.
        Forbidden: it holds more than the caller does.
    """
    if role not in BUILT_IN and role not in custom:
        known = ", ".join([*BUILT_IN, *custom])
        raise BadRequest(f"There is no role of that name; there are {known}.", param=param)
    if not covers(caller.permissions, permissions_of(role, custom.get(role))):
        raise Forbidden("You cannot give a role that holds more than yours.", param=param)


def check_permissions(caller: Principal, permissions: Sequence[str]) -> list[str]:
    """The permissions of a custom role that `caller` makes.

    Raises:
        BadRequest: one does not exist.
        Forbidden: the caller lacks one.
    """
    unknown = sorted(set(permissions) - GRANTABLE)
    if unknown:
        raise BadRequest(f"Unknown permission; known are {', '.join(sorted(GRANTABLE))}.", param="permissions")
    if not covers(caller.permissions, permissions):
        raise Forbidden("You cannot make a role that holds more than yours.", param="permissions")
    return sorted(set(permissions))


def check_holds_no_more(caller: Principal, role: str, custom: Mapping[str, Sequence[str]]) -> None:
    """Let `caller` decide on somebody who has, or had, `role`.

    Raises:
        Forbidden: it holds more than the caller does.
    """
    if not covers(caller.permissions, permissions_of(role, custom.get(role))):
        raise Forbidden("You cannot change somebody whose role holds more than yours.")


async def check_change(
    unit: Unit, caller: Principal, user_id: str, role: str, custom: Mapping[str, Sequence[str]]
) -> None:
    """Let `caller` change or remove a member who has `role`.

    Raises:
        Forbidden: the member holds more than the caller does.
        Conflict: it is the last owner.
    """
    check_holds_no_more(caller, role, custom)
    if role == OWNER and not await organizations.other_owners(unit, caller.organization_id, user_id, OWNER):
        raise Conflict("This is the last owner: make somebody else an owner first.")
