"""Whether this installation can answer, part by part.

Ready means: the database answers with the right schema, and at least one model can take a request (or none is
configured). Valkey may be away (what it holds may be lost), and so may search; a model that sleeps wakes for its first
request.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from api.backup.standing import hindrances
from api.db import schema
from api.db.replica import ReplicatedDatabase
from api.db.session import Database
from configs import valkey
from configs.errors import Unavailable
from serving.calls import call
from serving.names import CONTROL_APP, CONTROL_DEPLOYMENT, SEARCH_DEPLOYMENT

log = logging.getLogger(__name__)

CONTROL_TIMEOUT_S = 2.0
CAN_ANSWER = {"ready", "asleep"}


class Readiness:
    """Asks the parts; keeps the last known states of the models for when `control` is away."""

    def __init__(
        self, database: Database, redis_url: str, *, search: Sequence[str], backups_of: Path | None = None
    ) -> None:
        self._database = database
        self._valkey = valkey.connect(redis_url)
        self._wanted_schema = schema.wanted()
        self._search = search
        """The applications of its shards; none where it is off."""
        self._backups_of = backups_of
        """The data directory, where backups are taken by themselves."""
        self._states: dict[str, Any] = {}

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether requests can be answered, and each part's state."""
        postgres, cache, models, search, replica = await asyncio.gather(
            self._postgres(), self._cache(), self.states(), self._search_state(), self._replica()
        )
        some = not models or any(model["state"] in CAN_ANSWER for model in models.values())
        ready = postgres == "ready" and some
        models = {name: _open_part(state) for name, state in models.items()}
        parts = {"postgres": postgres, "valkey": cache, "ingress": "ready", "search": search, "models": models}
        return ready, parts | replica | await asyncio.to_thread(self._backups)

    async def states(self) -> dict[str, Any]:
        """How each model stands, as `control` sees it."""
        try:
            self._states = orjson.loads(
                await call(CONTROL_APP, CONTROL_DEPLOYMENT, "states", timeout_s=CONTROL_TIMEOUT_S)
            )
        except Unavailable as error:
            log.info("%s The last known states of the models stay.", error.message)
        return self._states

    async def _postgres(self) -> str:
        try:
            async with self._database.bare() as session:
                present = await schema.present(session)
        except Unavailable:
            return "unreachable"
        return "ready" if present == self._wanted_schema else "schema behind: run `manta db upgrade`"

    def _backups(self) -> dict[str, str]:
        """Nothing where none are taken. What stands in their way can name files of this machine."""
        if self._backups_of is None:
            return {}
        told = hindrances(self._backups_of)
        return {"backups": "hindered: `manta db backups` tells why" if told else "ready"}

    async def _replica(self) -> dict[str, str]:
        """Nothing where none is set. Whatever it says, the primary answers."""
        if not isinstance(self._database, ReplicatedDatabase):
            return {}
        return {"replica": await self._database.replica_state()}

    async def _search_state(self) -> str:
        if not self._search:
            return "off"
        calls = (call(app, SEARCH_DEPLOYMENT, "stats", timeout_s=CONTROL_TIMEOUT_S) for app in self._search)
        try:
            await asyncio.gather(*calls)
        except Unavailable:
            return "unreachable"
        return "ready"

    async def _cache(self) -> str:
        return "ready" if await valkey.answers(self._valkey) else "unreachable"


def _open_part(state: dict[str, Any]) -> dict[str, Any]:
    """Without the message, which can name files of this machine: everybody may ask for readiness."""
    return {name: value for name, value in state.items() if name != "message"}
