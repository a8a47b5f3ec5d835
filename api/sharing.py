"""Who leaves a team takes their conversations with them.

What a team reads is sealed with the team's key, which who left it cannot reach and which goes with the team. So before
somebody leaves, each conversation that they share is sealed with their own key, in a unit of work of its own: however
much there is, a try that was cut short is finished by the next one.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from api.audit.record import record
from api.conversations import Conversations
from api.db.session import Database
from api.db.sharing import StillShared, one_shared
from api.scope import Scope
from configs.errors import Unavailable

TRIES = 3

Answer = TypeVar("Answer")


async def unshared(database: Database, conversations: Conversations, act: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do what makes people leave a team: where that finds conversations in its way, they are private first.

    Raises:
        Unavailable: people share new ones as fast.
    """
    for _ in range(TRIES):
        try:
            return await act()
        except StillShared as found:
            for maker in found.makers:
                await _end(database, conversations, Scope(found.organization_id, maker), found.team_id)
    raise Unavailable("Somebody shares conversations with this team just now.", retry_after_s=1.0)


async def _end(database: Database, conversations: Conversations, maker: Scope, team_id: str | None) -> None:
    while True:
        async with database.unit(maker) as unit:
            row = await one_shared(unit, maker.user_id, team_id)
            if row is None:
                return
            team = row.team_id
            await conversations.share(unit, row, None)
            own = {"organization_id": maker.organization_id, "target": row.id}
            await record(unit, None, "conversation.unshare", **own, team=team, by="leaving")
