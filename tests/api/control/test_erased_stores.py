"""What people put into a vector store lies nowhere in the clear, and goes with them."""

import asyncio
import secrets
import subprocess
from pathlib import Path

from api.control.feed import StoreFeed
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import layout_of
from tests.fixtures.database import query
from tests.fixtures.erasing import erase
from tests.fixtures.shelves import Replica, Shelf, about, vector


def found_below(folder: Path, text: str) -> bool:
    """Whether grep finds it in any file."""
    return subprocess.run(["grep", "-rqF", text, str(folder)], check=False).returncode == 0


async def test_texts_are_never_in_the_clear_and_end_with_their_person(
    store: Shelf, feed: StoreFeed, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    word, person = f"osprey{secrets.token_hex(8)}", store.scope.user_id
    file_id = await store.file({"bird": word})
    seq = await store.chunks(file_id, [f"The {word} nests here."], [vector(1)])
    replica = Replica(feed, tmp_path / "search")
    assert await replica.found(store.id, about(word), seq) == [0]
    await replica.following.close()
    query(postgres, "CHECKPOINT")
    cluster = layout_of(postgres).postgres
    assert found_below(cluster, f"{person}@example.com")  # what is in the clear is found: the log is there too
    assert not found_below(cluster, word)
    assert replica.snapshots.stores() == [store.id]
    assert not found_below(tmp_path, word)

    await asyncio.to_thread(erase, postgres, person)
    for table in ("chunks", "vector_store_files", "vector_stores", "data_keys"):
        column = "owner_id" if table == "data_keys" else "user_id"
        assert query(postgres, f"SELECT 1 FROM {table} WHERE {column} = %s", person) == []
    await replica.following.sweep()
    assert (replica.following.stats(), replica.snapshots.stores()) == ({}, [])
