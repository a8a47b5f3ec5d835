"""Whether a model is still the one that a store was embedded with: asked now and then, never at each search."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from api.db.vector_stores import Searched
from api.directory import Entry
from configs.errors import MantaError, Unavailable
from models.embedding.probe import is_same
from models.embedding.protocol import Vectors

Ask = Callable[[Entry], Awaitable[Vectors]]
PROBED_S = 60.0
"""How long a probe counts: a model may be loaded anew under its name."""


@dataclass(slots=True)
class _Known:
    entry: Entry
    vector: Vectors
    until: float


class Probes:
    """What each model makes of the sentence now, as this process last heard. Who comes at once shares one question."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, tuple[Entry, asyncio.Task[Vectors]]] = {}

    async def check(self, stores: Sequence[Searched], entries: Mapping[str, Entry], ask: Ask) -> None:
        """Let only those models, here by name, search these stores that embedded them; `ask` has one make its probe.

        Raises:
            Unavailable: a model gives other vectors now, or does not answer.
        """
        for store in stores:
            name = store.embedding_model
            vector = await self._vector(entries[name], ask)
            if len(vector) != store.dimensions:
                raise _other(name, f"vectors of {len(vector)} numbers, this vector store has {store.dimensions}")
            if not is_same(store.probe, vector):
                raise _other(name, "other vectors than this vector store was made with")

    async def _vector(self, entry: Entry, ask: Ask) -> Vectors:
        known, now = self._known.get(entry.name), time.monotonic()
        if known is not None and known.entry == entry:
            if now < known.until:
                return known.vector
            known.until = now + PROBED_S  # who searches meanwhile goes on with what is known
        going = self._asking.get(entry.name)
        if going is not None and going[0] == entry:
            try:
                return await asyncio.shield(going[1])
            except MantaError:  # it may be about who asked first: a right, or a client that left
                return await self._asked(entry, ask)
        task = asyncio.create_task(self._asked(entry, ask))
        self._asking[entry.name] = entry, task
        task.add_done_callback(partial(self._over, entry.name))
        return await asyncio.shield(task)

    async def _asked(self, entry: Entry, ask: Ask) -> Vectors:
        vector = await ask(entry)
        self._known[entry.name] = _Known(entry, vector, time.monotonic() + PROBED_S)
        return vector

    def _over(self, name: str, task: asyncio.Task[Vectors]) -> None:
        if self._asking[name][1] is task:
            del self._asking[name]
        if not task.cancelled():
            task.exception()  # who began it may have left: nobody else would take it


def _other(name: str, gives: str) -> Unavailable:
    return Unavailable(
        f"The model {name!r} gives {gives}. Serve the former model, or name it anew as the store's 'embedding_model', "
        "which embeds the store anew; until then an 'embedding_weight' of 0 searches by words."
    )
