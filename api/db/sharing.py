"""Which people's conversations are shared with a team: nobody leaves one while theirs are sealed with its key."""

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Conversation, TeamMember


class StillShared(Exception):
    """Conversations have to be sealed for their makers first: `api.sharing` does that, and the act begins again."""

    def __init__(self, organization_id: str, team_id: str | None, makers: list[str]) -> None:
        super().__init__(f"{len(makers)} people still share conversations")
        self.organization_id = organization_id
        self.team_id = team_id
        """None: with any team of the organization."""
        self.makers = makers


async def check_unshared(
    session: AsyncSession, organization_id: str, *, team_id: str | None = None, people: Sequence[str] | None = None
) -> None:
    """Insist that these people (all of a team's) share nothing with a team (any); they cannot until the unit ends.

    Raises:
        StillShared: some do.
    """
    held = select(TeamMember.user_id).where(TeamMember.organization_id == organization_id)
    if team_id is not None:
        held = held.where(TeamMember.team_id == team_id)
    if people is not None:
        held = held.where(TeamMember.user_id.in_(people))
    await session.execute(held.order_by(TeamMember.team_id, TeamMember.user_id).with_for_update())
    query = text("SELECT find_sharers(:team, cast(:people AS text[]))")
    makers = list(await session.scalars(query, {"team": team_id, "people": None if people is None else list(people)}))
    if makers:
        raise StillShared(organization_id, team_id, makers)


async def one_shared(session: AsyncSession, user_id: str, team_id: str | None) -> Conversation | None:
    """A conversation that this person shares with that team (any), locked."""
    query = select(Conversation).where(Conversation.user_id == user_id)
    query = query.where(Conversation.team_id == team_id if team_id is not None else Conversation.team_id.is_not(None))
    return (await session.scalars(query.order_by(Conversation.id).limit(1).with_for_update())).one_or_none()
