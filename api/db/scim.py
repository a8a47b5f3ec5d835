"""Queries of a directory (SCIM) on members and teams. The unit's scope is the organization.

A member whom the directory never named goes by their address, so that a directory finds who was here before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, delete, exists, func, literal, not_, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.sharing import check_unshared
from api.db.tables import DirectoryUser, Membership, Team, TeamMember, User
from api.scim.filters import Both, Compare, Either, Node, Not, Within
from configs.errors import Conflict, InvalidFilter

TAKEN = "Somebody in this organization has this userName already."
Condition = ColumnElement[bool]
Asked = Callable[[Compare], Condition]
"""What a comparison of one attribute is in SQL."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member, and what the directory calls them."""

    user: User
    role: str
    entry: DirectoryUser | None


async def members(
    session: AsyncSession, organization_id: str, wanted: Node | None, *, skip: int, limit: int
) -> tuple[int, list[Member]]:
    """How many members fit, and a page of them by id.

    Raises:
        InvalidFilter: it asks for what cannot be searched.
    """
    query = _members(organization_id)
    if wanted is not None:
        query = query.where(condition(wanted, _user_attributes(organization_id)))
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    page = query.order_by(Membership.user_id).offset(skip).limit(limit)
    return int(total or 0), [Member(*row) for row in await session.execute(page)] if limit else []


async def member(session: AsyncSession, organization_id: str, user_id: str) -> Member | None:
    """One member, locked until the unit ends."""
    query = _members(organization_id).where(Membership.user_id == user_id).with_for_update(of=Membership)
    row = (await session.execute(query)).one_or_none()
    return Member(*row) if row is not None else None


async def holder(session: AsyncSession, organization_id: str, user_name: str) -> tuple[str, bool] | None:
    """Who goes by a userName: their id, and whether they are a member now or were one."""
    entry = select(DirectoryUser.user_id).where(
        DirectoryUser.organization_id == organization_id, func.lower(DirectoryUser.user_name) == func.lower(user_name)
    )
    user_id = await session.scalar(entry)
    if user_id is None:
        user_id = await session.scalar(_by_address(organization_id, user_name))
    if user_id is None:
        return None
    here = exists().where(Membership.organization_id == organization_id, Membership.user_id == user_id)
    return user_id, bool(await session.scalar(select(here)))


async def keep(
    session: AsyncSession,
    organization_id: str,
    user_id: str,
    *,
    user_name: str,
    external_id: str | None,
    profile: dict[str, Any],
    provisioned: bool | None = None,
) -> None:
    """Keep what the directory calls a member; `provisioned` None leaves it as it is.

    Raises:
        Conflict: the userName is another's.
    """
    values: dict[str, Any] = {"user_name": user_name, "external_id": external_id, "profile": profile}
    changed = {**values, "updated_at": func.now()}
    if provisioned is not None:
        changed["provisioned"] = provisioned
    row = insert(DirectoryUser).values(
        organization_id=organization_id, user_id=user_id, provisioned=bool(provisioned), **values
    )
    try:
        await session.execute(row.on_conflict_do_update(index_elements=["organization_id", "user_id"], set_=changed))
    except IntegrityError as error:
        raise Conflict(TAKEN, param="userName") from error


async def forget_profile(session: AsyncSession, organization_id: str, user_id: str) -> None:
    """A person who left is known by their userName and id only."""
    mine = (DirectoryUser.organization_id == organization_id, DirectoryUser.user_id == user_id)
    await session.execute(update(DirectoryUser).where(*mine).values(profile={}, updated_at=func.now()))


async def teams_of(session: AsyncSession, organization_id: str, user_ids: Sequence[str]) -> dict[str, list[Team]]:
    """The teams of these people, by name."""
    query = (
        select(TeamMember.user_id, Team)
        .join(Team, Team.id == TeamMember.team_id)
        .where(TeamMember.organization_id == organization_id, TeamMember.user_id.in_(user_ids))
        .order_by(Team.name)
    )
    found: dict[str, list[Team]] = {}
    for user_id, team in await session.execute(query) if user_ids else ():
        found.setdefault(user_id, []).append(team)
    return found


async def teams(
    session: AsyncSession, organization_id: str, wanted: Node | None, *, skip: int, limit: int
) -> tuple[int, list[Team]]:
    """How many teams fit, and a page of them by id. Errors as `members`."""
    query = select(Team).where(Team.organization_id == organization_id)
    if wanted is not None:
        query = query.where(condition(wanted, TEAM_ATTRIBUTES))
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    page = query.order_by(Team.id).offset(skip).limit(limit)
    return int(total or 0), list(await session.scalars(page)) if limit else []


async def team(session: AsyncSession, organization_id: str, team_id: str) -> Team | None:
    """One team, locked until the unit ends."""
    query = select(Team).where(Team.organization_id == organization_id, Team.id == team_id).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def name_team(session: AsyncSession, team_id: str, name: str, external_id: str | None) -> None:
    """What the directory calls a team.

    Raises:
        Conflict: another team has that name.
    """
    values = {"name": name, "external_id": external_id, "updated_at": func.now()}
    try:
        await session.execute(update(Team).where(Team.id == team_id).values(values))
    except IntegrityError as error:
        raise Conflict("There is a group of that displayName already.", param="displayName") from error


async def people_in(session: AsyncSession, team_ids: Sequence[str]) -> dict[str, list[str]]:
    """The people of these teams, by id."""
    query = select(TeamMember.team_id, TeamMember.user_id).where(TeamMember.team_id.in_(team_ids))
    found: dict[str, list[str]] = {team_id: [] for team_id in team_ids}
    for team_id, user_id in await session.execute(query.order_by(TeamMember.user_id)) if team_ids else ():
        found[team_id].append(user_id)
    return found


async def join_all(session: AsyncSession, organization_id: str, team_id: str, user_ids: Sequence[str]) -> list[str]:
    """Put those of these people who are members into a team; the ids of those who are."""
    here = select(Membership.user_id).where(
        Membership.organization_id == organization_id, Membership.user_id.in_(user_ids)
    )
    found = list(await session.scalars(here))
    if found:
        rows = [{"organization_id": organization_id, "team_id": team_id, "user_id": each} for each in found]
        await session.execute(insert(TeamMember).on_conflict_do_nothing(), rows)
    return found


async def leave_all(session: AsyncSession, organization_id: str, team_id: str, user_ids: Sequence[str]) -> None:
    """Take these people out of a team. Errors as `api.db.teams.leave`."""
    await check_unshared(session, organization_id, team_id=team_id, people=user_ids)
    await session.execute(delete(TeamMember).where(TeamMember.team_id == team_id, TeamMember.user_id.in_(user_ids)))


def condition(node: Node, attributes: Mapping[str, Asked]) -> Condition:
    """A filter as SQL.

    Raises:
        InvalidFilter: an attribute that cannot be searched.
    """
    if isinstance(node, Both):
        return and_(*(condition(each, attributes) for each in node.nodes))
    if isinstance(node, Either):
        return or_(*(condition(each, attributes) for each in node.nodes))
    if isinstance(node, Not):
        return not_(condition(node.node, attributes))
    asked = attributes.get(node.attribute) if isinstance(node, Compare) else None
    if isinstance(node, Within) or asked is None:
        known = ", ".join(sorted(attributes))
        raise InvalidFilter(f"The attribute cannot be searched; these can: {known}.")
    return asked(node)


def _text(column: Any, *, exact: bool = False) -> Asked:  # noqa: ANN401  columns have many types
    """A text column, in any case or exactly; what is absent differs from every value."""

    def asked(node: Compare) -> Condition:
        if node.operator == "pr":
            present: Condition = column.is_not(None)
            return present
        if not isinstance(node.value, str):
            raise InvalidFilter(f"{node.attribute!r} is compared with a text in quotes.")
        left = column if exact else func.lower(column)
        right: Any = literal(node.value) if exact else func.lower(node.value)
        if node.operator in ("eq", "ne"):
            same: Condition = left == right
            return same if node.operator == "eq" else left.is_distinct_from(right)
        return _like(left, node.operator, node.value if exact else node.value.lower())

    return asked


def _like(column: ColumnElement[Any], operator: str, value: str) -> Condition:
    if operator == "co":
        return column.contains(value, autoescape=True)
    return column.startswith(value, autoescape=True) if operator == "sw" else column.endswith(value, autoescape=True)


def _active(node: Compare) -> Condition:
    if node.operator == "pr":
        return literal(value=True)
    if not isinstance(node.value, bool) or node.operator not in ("eq", "ne"):
        raise InvalidFilter("'active' is compared by eq or ne with true or false.")
    return (User.status == "active") if node.value == (node.operator == "eq") else (User.status != "active")


def _addresses(node: Compare) -> Condition:
    """Any of the addresses that the directory named, or the one for signing in."""
    values = func.jsonb_array_elements(func.coalesce(DirectoryUser.profile["emails"], cast([], JSONB)))
    each = values.table_valued("value", name="email")
    address = cast(each.c.value, JSONB)["value"].astext
    if node.operator == "ne":
        return not_(_addresses(Compare(node.attribute, "eq", node.value)))
    return or_(_text(User.email)(node), select(1).select_from(each).where(_text(address)(node)).exists())


def _by_address(organization_id: str, user_name: str) -> Select[str]:
    named = exists().where(DirectoryUser.organization_id == organization_id, DirectoryUser.user_id == User.id)
    return (
        select(User.id)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organization_id == organization_id, User.email == func.lower(user_name), ~named)
    )


def _user_attributes(organization_id: str) -> dict[str, Asked]:
    anyhow = _text(func.coalesce(DirectoryUser.user_name, User.email, User.id))

    def user_name(node: Compare) -> Condition:
        """Two look-ups by index in place of a walk over all members, for directories ask this before each change."""
        if node.operator != "eq" or not isinstance(node.value, str):
            return anyhow(node)
        entry = select(DirectoryUser.user_id).where(
            DirectoryUser.organization_id == organization_id,
            func.lower(DirectoryUser.user_name) == func.lower(node.value),
        )
        return Membership.user_id.in_(entry.union_all(_by_address(organization_id, node.value)))

    profile = DirectoryUser.profile
    return {
        "id": _text(Membership.user_id, exact=True),
        "username": user_name,
        "externalid": _text(DirectoryUser.external_id, exact=True),
        "displayname": _text(func.coalesce(profile["displayName"].astext, User.name)),
        "name.givenname": _text(profile["name"]["givenName"].astext),
        "name.familyname": _text(profile["name"]["familyName"].astext),
        "active": _active,
        "emails": _addresses,
        "emails.value": _addresses,
    }


def _people(node: Compare) -> Condition:
    if node.operator != "eq" or not isinstance(node.value, str):
        raise InvalidFilter("'members' is compared by eq with the id of a user.")
    return exists().where(TeamMember.team_id == Team.id, TeamMember.user_id == node.value)


TEAM_ATTRIBUTES: dict[str, Asked] = {
    "id": _text(Team.id, exact=True),
    "displayname": _text(Team.name),
    "externalid": _text(Team.external_id, exact=True),
    "members": _people,
    "members.value": _people,
}


def _members(organization_id: str) -> Select[User, str, DirectoryUser]:
    entry = and_(
        DirectoryUser.user_id == Membership.user_id, DirectoryUser.organization_id == Membership.organization_id
    )
    return (
        select(User, Membership.role, DirectoryUser)
        .join(Membership, Membership.user_id == User.id)
        .outerjoin(DirectoryUser, entry)
        .where(Membership.organization_id == organization_id, User.status != "erased")
    )
