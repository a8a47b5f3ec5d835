"""Members as SCIM users: made, changed, disabled and sent away by a directory.

A directory names people and says whether they are active. It gives no roles and never reaches an account that another
organization has: an address is no proof of who somebody is.
"""

import re
from typing import Any

from api.db import accounts, logins, organizations
from api.db import scim as queries
from api.db import sessions as session_queries
from api.db.notifications import notify
from api.db.scim import Member
from api.db.session import Unit, acting
from api.db.tables import Team
from api.identity.people import EMAIL
from api.ids import new_id
from api.roles import BUILT_IN, MEMBER, OWNER, permissions_of
from api.scim.attributes import USERS, Resource, require, taken
from api.scim.desk import Desk
from api.scim.filters import Node
from api.scim.patch import patched
from api.scim.projection import Projection
from api.scim.resources import USER
from configs.errors import Conflict, NotFound

LONGEST_NAME = 100
NO_USER = "There is no such user."
LAST_OWNER = "This is the last owner of the organization: make somebody else an owner first."
PROFILE = ("name", "displayName", "emails")


async def listed(
    desk: Desk, wanted: Node | None, projection: Projection, *, skip: int, limit: int
) -> tuple[int, list[Resource]]:
    """How many members fit, and a page of them."""
    async with desk.database.unit(desk.scope()) as unit:
        total, rows = await queries.members(unit, desk.organization_id, wanted, skip=skip, limit=limit)
        teams: dict[str, list[Team]] = {}
        if projection.wants("groups"):
            teams = await queries.teams_of(unit, desk.organization_id, [row.user.id for row in rows])
    return total, [told(desk, row, teams.get(row.user.id, [])) for row in rows]


async def get(desk: Desk, user_id: str) -> Resource:
    """One member.

    Raises:
        NotFound: there is none of that id.
    """
    async with desk.database.unit(desk.scope()) as unit:
        return await _told(desk, unit, await _found(desk, unit, user_id))


async def create(desk: Desk, unit: Unit, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """A new member, or one who left and comes back, in the organization's unit of work.

    Raises:
        Conflict: the userName or the address is somebody's.
        InvalidValue: the body does not fit the schema.
    """
    asked = require(USERS, taken(USERS, body))
    holder = await queries.holder(unit, desk.organization_id, asked["userName"])
    if holder is not None and holder[1]:
        raise Conflict(queries.TAKEN, param="userName")
    user_id = holder[0] if holder is not None else new_id("user")
    async with acting(unit, desk.scope(user_id), desk.scope()):
        if holder is None:
            await accounts.add(unit, user_id=user_id, email=address_of(asked), name=name_of(asked), password_hash=None)
        else:
            await _welcome_back(unit, user_id)
        status = "active" if asked.get("active", True) else "disabled"
        await accounts.change(unit, user_id, status=status)
        await accounts.join(unit, desk.organization_id, user_id, MEMBER)
        await _keep(desk, unit, user_id, asked, provisioned=True if holder is None else None)
        await desk.record(unit, "user.create", user_id, role=MEMBER, status=status)
        return await _change(desk, unit, await _found(desk, unit, user_id), asked)


async def replace(desk: Desk, user_id: str, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """PUT: everything that the directory may set is as it says now. Errors as `create`, and NotFound."""
    asked = require(USERS, taken(USERS, body))
    async with desk.database.unit(desk.scope()) as unit:
        return await _change(desk, unit, await _found(desk, unit, user_id), asked)


async def patch(desk: Desk, user_id: str, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """PATCH. Errors as `api.scim.patch.patched` and `create`, and NotFound."""
    async with desk.database.unit(desk.scope()) as unit:
        member = await _found(desk, unit, user_id)
        before = taken(USERS, told(desk, member, []))
        return await _change(desk, unit, member, require(USERS, patched(USERS, before, body)))


async def remove(desk: Desk, user_id: str) -> None:
    """DELETE: the person leaves the organization; an account that no other one has is disabled. It is no erasure.

    Raises:
        NotFound: there is none of that id.
        Conflict: it is the last owner.
    """
    async with desk.database.unit(desk.scope()) as unit:
        member = await _found(desk, unit, user_id)
        await _guard_last_owner(desk, unit, member)
        await _send_away(desk, unit, member)


def told(desk: Desk, member: Member, teams: list[Team]) -> Resource:
    """A member as SCIM has it."""
    user, entry = member.user, member.entry
    changed = max(user.updated_at, entry.updated_at) if entry is not None else user.updated_at
    location = f"{desk.base}/Users/{user.id}"
    body: Resource = {
        "schemas": [USER],
        "id": user.id,
        "externalId": entry.external_id if entry is not None else None,
        "userName": entry.user_name if entry is not None else user.email or user.id,
        **(entry.profile if entry is not None else _own_profile(member)),
        "active": user.status == "active",
        "groups": [{"value": team.id, "$ref": f"{desk.base}/Groups/{team.id}", "display": team.name} for team in teams],
        "meta": {
            "resourceType": "User",
            "created": user.created_at.isoformat(),
            "lastModified": changed.isoformat(),
            "location": location,
        },
    }
    return {name: value for name, value in body.items() if value not in (None, [])}


def address_of(asked: Resource) -> str | None:
    """The address to sign in with: the primary one, else the first, else a userName that is one."""
    emails = asked.get("emails", [])
    ordered = [*(each for each in emails if each.get("primary")), *emails, {"value": asked["userName"]}]
    found = (str(each.get("value", "")).strip().lower() for each in ordered)
    return next((each for each in found if EMAIL.match(each)), None)


def name_of(asked: Resource) -> str:
    """What to call the person."""
    name = asked.get("name", {})
    parts = " ".join(name[part] for part in ("givenName", "familyName") if part in name)
    return re.sub(r"\s+", " ", asked.get("displayName") or name.get("formatted") or parts).strip()[:LONGEST_NAME]


def _own_profile(member: Member) -> dict[str, Any]:
    user = member.user
    profile: dict[str, Any] = {"displayName": user.name} if user.name else {}
    return {**profile, "emails": [{"value": user.email, "primary": True}]} if user.email else profile


async def _found(desk: Desk, unit: Unit, user_id: str) -> Member:
    member = await queries.member(unit, desk.organization_id, user_id)
    if member is None:
        raise NotFound(NO_USER, param="user_id")
    return member


async def _told(desk: Desk, unit: Unit, member: Member) -> Resource:
    await unit.refresh(member.user)
    if member.entry is not None:
        await unit.refresh(member.entry)
    teams = await queries.teams_of(unit, desk.organization_id, [member.user.id])
    return told(desk, member, teams.get(member.user.id, []))


async def _keep(desk: Desk, unit: Unit, user_id: str, asked: Resource, *, provisioned: bool | None = None) -> None:
    await queries.keep(
        unit,
        desk.organization_id,
        user_id,
        user_name=asked["userName"],
        external_id=asked.get("externalId"),
        profile={name: asked[name] for name in PROFILE if name in asked},
        provisioned=provisioned,
    )


async def _welcome_back(unit: Unit, user_id: str) -> None:
    """Let in who left this organization, if they belong to no other one by now."""
    person = await logins.find(unit, "user", user_id)
    if person is None or person["memberships"] or person["status"] == "erased":
        raise Conflict("The account of this userName belongs to another organization now.", param="userName")


async def _change(desk: Desk, unit: Unit, member: Member, asked: Resource) -> Resource:
    user = member.user
    holder = await queries.holder(unit, desk.organization_id, asked["userName"])
    if holder is not None and holder[0] != user.id:
        raise Conflict(queries.TAKEN, param="userName")
    before = taken(USERS, told(desk, member, []))
    await _keep(desk, unit, user.id, asked)
    if name_of(asked) != user.name:
        await accounts.change(unit, user.id, name=name_of(asked))
    await _change_address(desk, unit, member, asked)
    active = asked.get("active", user.status == "active")
    changed = sorted(name for name in {*before, *asked} - {"active"} if before.get(name) != asked.get(name))
    if changed:
        await desk.record(unit, "user.change", user.id, attributes=changed)
    if active != (user.status == "active") and not await _set_active(desk, unit, member, active=active):
        return {**told(desk, member, []), "active": False}
    return await _told(desk, unit, await _found(desk, unit, user.id))


async def _change_address(desk: Desk, unit: Unit, member: Member, asked: Resource) -> None:
    """The address for signing in follows the directory for members whom it made and who hold no more than members do.

    Else who may write to the directory could have a link for an owner's new password sent to themselves.
    """
    address = address_of(asked)
    if address is None or address == member.user.email or member.entry is None or not member.entry.provisioned:
        return
    custom = await organizations.roles(unit, desk.organization_id)
    if permissions_of(member.role, custom.get(member.role)) <= BUILT_IN[MEMBER]:
        await accounts.change(unit, member.user.id, email=address, email_verified_at=None)


async def _set_active(desk: Desk, unit: Unit, member: Member, *, active: bool) -> bool:
    """Enable or disable; False when the person had to leave instead, for the account is another organization's too."""
    if not active:
        await _guard_last_owner(desk, unit, member)
        if await _belongs_elsewhere(unit, member):
            await _send_away(desk, unit, member)
            return False
        await session_queries.end(unit, member.user.id)
    status = "active" if active else "disabled"
    await accounts.change(unit, member.user.id, status=status)
    await desk.record(unit, "user.status", member.user.id, after=status)
    await notify(unit, logins.CHANNEL)
    return True


async def _send_away(desk: Desk, unit: Unit, member: Member) -> None:
    user_id = member.user.id
    await unit.refresh(member.user)  # while it can still be seen: what was changed is read once more
    if member.entry is None:
        await _keep(desk, unit, user_id, taken(USERS, told(desk, member, [])), provisioned=False)
    if not await _belongs_elsewhere(unit, member):
        await accounts.change(unit, user_id, status="disabled")
    await queries.forget_profile(unit, desk.organization_id, user_id)
    await session_queries.end_in(unit, desk.organization_id, user_id)
    await desk.record(unit, "user.remove", user_id)
    await organizations.leave(unit, desk.organization_id, user_id)
    await notify(unit, logins.CHANNEL)


async def _belongs_elsewhere(unit: Unit, member: Member) -> bool:
    person = await logins.find(unit, "user", member.user.id)
    return person is not None and len(person["memberships"]) > 1


async def _guard_last_owner(desk: Desk, unit: Unit, member: Member) -> None:
    if member.role == OWNER and not await organizations.other_owners(unit, desk.organization_id, member.user.id, OWNER):
        raise Conflict(LAST_OWNER)
