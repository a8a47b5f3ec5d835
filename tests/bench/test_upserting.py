"""What `bench upserts` writes into a store, on a real database."""

import asyncio
import time
from collections.abc import Iterator

import numpy as np
import pytest

from api.db import schema
from api.db.session import Database
from api.scope import INSTALLATION
from api.vault.vault import Vault
from bench.stored import Stored
from bench.upserting import FILE_CHUNKS, Upserts, fill
from bench.vectors import unit_vectors
from configs.datadir import Layout
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query
from tests.fixtures.shelves import D, Shelf, jobs_of

Place = tuple[Layout, EmbeddedPostgres]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A data directory as a stack has it."""
    with open_folder() as root, held_layout(root / "data") as layout, EmbeddedPostgres(layout) as server:
        schema.upgrade(server.urls.owner_url)
        Keyring.make(layout.master_keys)
        yield layout, server


async def made(place: Place) -> str:
    layout, server = place
    database, jobs = Database(server.urls.app_url), jobs_of(server)
    store_id = await Shelf(database, jobs, Vault(Keyring.read(layout.master_keys)), INSTALLATION).make()
    await database.close()
    await jobs.close()
    return store_id


async def test_what_is_written_is_read_and_replaced(place: Place) -> None:
    store_id = await made(place)
    stored, first, second = Stored(place[0].data_dir, store_id), unit_vectors(4, D, 1), unit_vectors(4, D, 2)
    holds = await stored.add_files(2)
    await stored.write(holds, ["a", "b", "c", "d"], first)
    assert np.array_equal(await stored.vectors(), first)
    await stored.write(await stored.again(holds), ["e", "f", "g", "h"], second)
    assert np.array_equal(await stored.vectors(), second)
    with pytest.raises(RuntimeError, match="2 of the files"):
        await stored.write(holds, ["a", "b"], first[:2])
    await stored.close()


async def test_it_writes_as_fast_as_it_was_asked_for(place: Place) -> None:
    store_id = await made(place)
    query(place[1], "UPDATE vector_stores SET dimensions = 384 WHERE id = %s", store_id)
    await asyncio.to_thread(fill, place[0].data_dir, store_id, 256)
    upserts = Upserts()
    with upserts.running(place[0].data_dir, store_id, 640):
        before = upserts.written
        with upserts.wanted():
            await asyncio.to_thread(time.sleep, 2.0)
        assert 0 < upserts.written - before <= 2 * 640 + 128
    files = query(
        place[1], "SELECT count(*), sum(chunk_count) FROM vector_store_files WHERE vector_store_id = %s", store_id
    )
    chunks = query(place[1], "SELECT count(*) FROM chunks WHERE vector_store_id = %s", store_id)
    assert files[0][0] * FILE_CHUNKS == files[0][1] == chunks[0][0]
