"""The directory: which names clients can call, as last read from the table of served models."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from api.db import models as model_queries
from api.db.session import Database
from configs.errors import BadRequest, ModelNotFound, Unavailable
from configs.specs import Kind, ModelSpec

log = logging.getLogger(__name__)

ANSWERS = {Kind.CHAT: "chat", Kind.EMBEDDING: "embeddings", Kind.RERANK: "reranking"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A name that clients use: a model's own, or that of an adapter it carries."""

    name: str
    spec: ModelSpec
    created: int

    @property
    def base(self) -> str:
        """The model whose replicas answer."""
        return self.spec.model_name


class Directory:
    """Names to models, in memory. A database that is down leaves what was read last."""

    def __init__(self, database: Database, removed: Callable[[str], object]) -> None:
        self._database = database
        self._removed = removed
        self._entries: dict[str, Entry] = {}
        self.loaded = False

    async def refresh(self) -> None:
        """Read the table again."""
        try:
            async with self._database.unit() as session:
                rows = await model_queries.all_rows(session)
        except Unavailable:
            log.info("the models could not be read again; the last list stays")
            return
        before = {entry.base for entry in self._entries.values()}
        self._entries = {}
        for spec, created_at in rows:
            for name in (spec.model_name, *(adapter.name for adapter in spec.adapters)):
                self._entries[name] = Entry(name, spec, int(created_at.timestamp()))
        self.loaded = True
        for name in before - {entry.base for entry in self._entries.values()}:
            self._removed(name)

    def entries(self) -> list[Entry]:
        """All names, sorted."""
        return [self._entries[name] for name in sorted(self._entries)]

    def entry(self, name: str) -> Entry:
        """The entry of `name`.

        Raises:
            ModelNotFound: there is none.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ModelNotFound("The model does not exist. `GET /v1/models` lists those that do.", param="model")
        return entry

    def of_kind(self, name: str, kind: Kind) -> Entry:
        """The entry of `name`, which must be of `kind`.

        Raises:
            ModelNotFound, BadRequest: there is none, or it answers something else.
        """
        entry = self.entry(name)
        if entry.spec.kind is not kind:
            text = f"This model serves {ANSWERS[entry.spec.kind]}, not {ANSWERS[kind]}."
            raise BadRequest(text, param="model")
        return entry
