"""One group of claimed files on its way: what the work needs is opened, what comes back written, the rest given back.

Nothing here can be lost: what is not written is claimed again, and what comes late writes nothing (`api.db.ingest`).
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from api.control.ingest_meter import IngestMeter
from api.db import ingest as queries
from api.db import models
from api.db.ingest import Claim
from api.db.ingest_parts import Hold, Outcome, Part
from api.db.session import Database
from api.files.contents import Contents, Stored
from api.files.library import name_place
from api.vault.vault import Vault
from configs.errors import ConfigurationError, Unavailable, Unreadable
from configs.ingest_specs import IngestSpec
from configs.seal import open_sealed
from retrieval.documents import Docling, Limits
from serving.ingest.protocol import Batch, FileWork, Group, Piece, Runner

log = logging.getLogger(__name__)

RETRY_S = 0.5
AWAY_DELAY_S = 10.0
BROKEN_DELAY_S = 2.0
"""Before the second try; five times that before the third."""
READ_WALL_S = 3600.0
"""At idle priority a file may wait long for the processor; what counts is the time that it uses."""
NOT_LOADED = "The embedding model cannot be loaded; the server's log says why."
"""What is wrong is for the operator: it may name folders."""
LOST_KEY = "The key of this file's content was destroyed."


@dataclass(frozen=True, slots=True)
class Desk:
    """What every group needs."""

    database: Database
    vault: Vault
    place: str
    runner: Runner
    spec: IngestSpec
    lease_s: float = queries.LEASE_S
    meter: IngestMeter = field(default_factory=IngestMeter)


class GroupWork:
    """One group; `run` once."""

    def __init__(self, desk: Desk, claims: Sequence[Claim]) -> None:
        self._desk = desk
        self._claims = {claim.hold: claim for claim in claims}
        self._left = {claim.hold for claim in claims}
        """What has no end yet."""
        self._chunks = 0

    async def run(self) -> None:
        """Work until every file has its end, or is given back. It does not raise, unless it is cancelled."""
        begun, count = time.monotonic(), len(self._left)
        tries = 1 + max(claim.attempts for claim in self._claims.values())
        charged, delay_s = True, BROKEN_DELAY_S * 5.0 ** (tries - 1) if tries < queries.TRIES else 0.0
        current = asyncio.current_task()
        assert current is not None
        renewing = asyncio.create_task(self._renew(current))
        try:
            charged, delay_s = False, AWAY_DELAY_S if await self._work() else 0.0
            log.info("%d files became %d chunks in %.1f s", count, self._chunks, time.monotonic() - begun)
        except asyncio.CancelledError:
            charged, delay_s = False, 0.0
            raise
        except Unavailable as error:
            charged, delay_s = False, AWAY_DELAY_S
            log.info("%d files wait: %s", len(self._left), error)
        except Exception:
            log.exception("the work on %d files broke off", len(self._left))
        finally:
            renewing.cancel()
            await self._give_back(delay_s, charged=charged)

    async def _work(self) -> bool:
        """Whether it came to its end; else a file was in the way that nobody wants any more."""
        group, holds, contents = await self._opened()
        if not holds:
            return True
        try:
            async with aclosing(self._desk.runner.run(group, contents)) as batches:
                async for batch in batches:
                    if not await self._taken(holds, batch):
                        return False
        except ConfigurationError as error:
            log.error("the embedding model cannot be loaded: %s", error)  # noqa: TRY400  the message says it all
            await self._fail(self._left & set(holds), NOT_LOADED)
        return True

    async def _taken(self, holds: Sequence[Hold], batch: Batch) -> bool:
        """Write a batch; False where the rest of the work is for a file that nobody wants any more."""
        dropped: set[Hold] = set()
        for store_id, parts in _by_store(holds, batch):
            gone = await self._written(store_id, parts)
            dropped |= {part.hold for part in parts if part.hold.file_id in gone and part.outcome is None}
            self._left -= {part.hold for part in parts if part.outcome is not None or part.hold.file_id in gone}
            self._chunks += sum(len(part.chunks) for part in parts if part.hold.file_id not in gone)
        return not dropped

    async def _opened(self) -> tuple[Group, list[Hold], Contents]:
        """The work, the hold of each of its files, and their contents; what cannot be opened has failed."""
        files: dict[Hold, FileWork] = {}
        stored: dict[str, Stored] = {}
        async with self._desk.database.unit() as unit:
            specs = {spec.model_name: spec for spec, _ in await models.all_rows(unit)}
            for hold, claim in self._claims.items():
                try:
                    store_key = await self._desk.vault.key(unit, claim.store_key_id)
                    file_key = await self._desk.vault.key(unit, claim.file_key_id)
                    place = name_place(hold.file_id, claim.organization_id)
                    filename = open_sealed(file_key.key, claim.filename, place).decode()
                except Unreadable as error:
                    log.info("a file of %s cannot be opened: %s", hold.store_id, error)
                    continue
                stored[hold.file_id] = Stored(file_key, claim.blob, claim.size)
                files[hold] = FileWork(
                    hold.store_id, hold.file_id, claim.organization_id, filename, claim.max_tokens,
                    claim.overlap_tokens, claim.dimensions, store_key.key, claim.probe,
                )  # fmt: skip
        await self._fail(self._left - files.keys(), LOST_KEY)
        first = next(iter(self._claims.values()))
        spec = specs.get(first.embedding_model)
        if spec is None:
            name = first.embedding_model
            text = (
                f"The embedding model {name!r} of this store is not served any more. Add it again: `manta models add`."
            )
            await self._fail(set(files), text)
            files = {}
        model = spec.model_dump_json(exclude_defaults=True) if spec is not None else ""
        group = Group(model, tuple(files.values()), self._limits())
        return group, list(files), Contents(self._desk.place, stored)

    def _limits(self) -> Limits:
        spec = self._desk.spec
        return replace(
            Limits(), text_characters=spec.max_file_characters, pages=spec.max_file_pages,
            unpacked_bytes=spec.max_unpacked_bytes, wall_s=int(READ_WALL_S),
            docling=Docling(**spec.docling.model_dump()) if spec.docling is not None else None,
        )  # fmt: skip

    async def _fail(self, holds: set[Hold], message: str) -> None:
        for hold in sorted(holds, key=lambda hold: hold.file_id):
            await self._written(
                hold.store_id, [Part(hold, (), Outcome(error_code="server_error", error_message=message))]
            )
        self._left -= holds

    async def _written(self, store_id: str, parts: Sequence[Part]) -> set[str]:
        """Until the database has taken them, however long it is away."""
        while True:
            try:
                async with self._desk.database.unit() as unit:
                    gone = await queries.write(unit, store_id, parts)
            except Unavailable:
                log.info("the database is away; a batch of chunks waits")
                await asyncio.sleep(RETRY_S)
            else:
                self._desk.meter.wrote(part for part in parts if part.hold.file_id not in gone)
                return gone

    async def _renew(self, work: "asyncio.Task[None]") -> None:
        """Keep the leases; where nobody wants any of it, the work ends."""
        while True:
            await asyncio.sleep(self._desk.lease_s / 3)
            asked = set(self._left)
            try:
                async with self._desk.database.unit() as unit:
                    held = await queries.renew(unit, asked, self._desk.lease_s)
            except Unavailable:
                continue
            if asked and not held and asked & self._left:
                log.info("nobody wants the files that are worked on any more")
                work.cancel()
                return

    async def _give_back(self, delay_s: float, *, charged: bool) -> None:
        try:
            async with self._desk.database.unit() as unit:
                await queries.give_back(unit, self._left, delay_s=delay_s, charged=charged)
        except Unavailable:
            log.info("the database is away; the leases of %d files run out", len(self._left))


def _by_store(holds: Sequence[Hold], batch: Batch) -> Iterator[tuple[str, list[Part]]]:
    """Parts of one store that follow each other."""
    parts: list[Part] = []
    for piece in batch:
        hold = holds[piece.file]
        if parts and parts[0].hold.store_id != hold.store_id:
            yield parts[0].hold.store_id, parts
            parts = []
        parts.append(Part(hold, piece.chunks, _outcome(piece)))
    if parts:
        yield parts[0].hold.store_id, parts


def _outcome(piece: Piece) -> Outcome | None:
    if piece.end is None:
        return None
    end = piece.end
    return Outcome(end.chunk_count, end.usage_bytes, end.code, end.message, end.notes)
