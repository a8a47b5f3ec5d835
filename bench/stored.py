"""The chunks of one vector store of a running stack, read and written past the API, as `control` does it.

What is written is sealed and goes the way of ingest (`api.db.ingest.write`), with vectors that are ready, as embedding
is another bench's matter. Its files have rows and no bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import tuple_, update

from api.control.feed import StoreFeed
from api.db import ingest as queue
from api.db import knowledge
from api.db.ingest_parts import Hold, Outcome, Part
from api.db.session import JOBS_ROLE, Database
from api.db.tables import File, VectorStoreFile
from api.files.library import name_place
from api.ids import new_id
from api.scope import Scope
from api.vault.keys import DataKey
from api.vault.vault import Vault
from configs.datadir import Layout
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from configs.seal import seal
from retrieval import feed
from retrieval.chunking import Chunk
from retrieval.feed import attributes_place
from retrieval.index.protocol import Vectors
from serving.ingest.protocol import FileWork
from serving.ingest.work import sealed_chunk

LEASE = timedelta(days=1)
"""The files are this bench's: `control` claims none of them."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the store is, and with what it is sealed."""

    organization_id: str
    user_id: str | None
    key: DataKey


class Stored:
    """One store; made on the loop that uses it."""

    def __init__(self, data_dir: Path, store_id: str) -> None:
        layout = Layout(data_dir)
        urls = EmbeddedPostgres(layout).urls
        self._app = Database(urls.app_url, pool_size=1, application="manta bench", deadline_s=None)
        self._jobs = Database(urls.jobs_url, pool_size=1, application="manta bench", role=JOBS_ROLE, deadline_s=None)
        self._vault = Vault(Keyring.read(layout.master_keys))
        self._store_id = store_id
        self._owner: Owner | None = None

    async def vectors(self) -> Vectors:
        """All of them, in the order of their chunks."""
        source = StoreFeed(self._jobs, self._vault)
        store, after, found = await source.open_store(self._store_id), 0, list[Vectors]()
        while (changes := await source.changes(self._store_id, after)) is not None and changes.seq > after:
            found += [feed.vectors(store, chunk) for chunk in changes.chunks]
            after = changes.seq
        return np.concatenate(found)

    async def add_files(self, count: int) -> list[Hold]:
        """New files of the store, held by the caller as by a worker that has claimed them."""
        owner = await self._whose()
        file_ids = [new_id("file").replace("_", "-", 1) for _ in range(count)]
        async with self._app.unit(Scope(owner.organization_id, owner.user_id or "")) as unit:
            unit.add_all([_file(owner, file_id) for file_id in file_ids])
            await unit.flush()
            unit.add_all([_entry(owner, self._store_id, file_id) for file_id in file_ids])
        return [Hold(self._store_id, file_id, 1) for file_id in file_ids]

    async def again(self, holds: Sequence[Hold]) -> list[Hold]:
        """The same files, held once more: what is written next takes the place of their chunks."""
        keys = [(each.store_id, each.file_id) for each in holds]
        key = tuple_(VectorStoreFile.vector_store_id, VectorStoreFile.file_id)
        values = {"status": queue.WAITING, "epoch": VectorStoreFile.epoch + 1, "leased_until": _end()}
        query = update(VectorStoreFile).where(key.in_(keys)).values(values)
        columns = (VectorStoreFile.vector_store_id, VectorStoreFile.file_id, VectorStoreFile.epoch)
        async with self._jobs.unit() as unit:
            rows = await unit.execute(query.returning(*columns), execution_options={"synchronize_session": False})
            return [Hold(*row) for row in rows]

    async def write(self, holds: Sequence[Hold], texts: Sequence[str], vectors: Vectors) -> None:
        """In one change: to each file in turn the next of the texts, as many to each, and the file's end."""
        owner = await self._whose()
        each = len(texts) // len(holds)
        parts = []
        for number, hold in enumerate(holds):
            own = slice(number * each, (number + 1) * each)
            chunks = list(_sealed(owner, hold, texts[own], vectors[own]))
            size = sum(len(content) + len(found) for _, content, found in chunks)
            parts.append(Part(hold, chunks, Outcome(len(chunks), size)))
        async with self._jobs.unit() as unit:
            lost = await queue.write(unit, self._store_id, parts)
        if lost:
            raise RuntimeError(f"somebody else holds {len(lost)} of the files")

    async def close(self) -> None:
        """Close the connections."""
        await self._app.close()
        await self._jobs.close()

    async def _whose(self) -> Owner:
        if self._owner is None:
            async with self._jobs.unit() as unit:
                row = await knowledge.store(unit, self._store_id)
                assert row is not None
                key = await self._vault.key(unit, row.data_key_id)
            self._owner = Owner(row.organization_id, row.user_id, key)
        return self._owner


def _file(owner: Owner, file_id: str) -> File:
    name = seal(owner.key.key, b"written by a bench.txt", name_place(file_id, owner.organization_id))
    return File(
        id=file_id, organization_id=owner.organization_id, user_id=owner.user_id, data_key_id=owner.key.id, name=name,
        purpose="assistants", size=1, digest=file_id.encode(), blob=file_id,
    )  # fmt: skip


def _entry(owner: Owner, store_id: str, file_id: str) -> VectorStoreFile:
    attributes = seal(owner.key.key, b"{}", attributes_place(store_id, file_id, owner.organization_id))
    return VectorStoreFile(
        vector_store_id=store_id, file_id=file_id, organization_id=owner.organization_id, user_id=owner.user_id,
        attributes=attributes, max_tokens=800, overlap_tokens=400, epoch=1, attempts=1, leased_until=_end(),
    )  # fmt: skip


def _sealed(owner: Owner, hold: Hold, texts: Sequence[str], vectors: Vectors) -> Iterator[tuple[int, bytes, bytes]]:
    key, start = owner.key.key, 0
    file = FileWork(hold.store_id, hold.file_id, owner.organization_id, "", 800, 400, vectors.shape[1], key)
    for number, text in enumerate(texts):
        chunk = Chunk(text=text, start=start, end=start + len(text), page=None, headings=(), table_head=None)
        yield sealed_chunk(file, number, chunk, vectors[number : number + 1])
        start += len(text)


def _end() -> datetime:
    return datetime.now(UTC) + LEASE
