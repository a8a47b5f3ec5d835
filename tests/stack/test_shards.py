"""Search over two shards, a stack of its own."""

import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.fixtures.stack import CONFIGURATION, Stack, stack_in_folder

pytestmark = [pytest.mark.stack, pytest.mark.deep]

EMBEDDER_ONLY = "model_list:\n  - model_name: all-MiniLM" + CONFIGURATION.partition("  - model_name: all-MiniLM")[2]
WORDS = ["heron", "quarry", "lantern", "meadow", "harbour", "copper", "violin", "glacier"]
HEAL_S = 180.0


@pytest.fixture(scope="module")
def shards() -> Iterator[Stack]:
    with stack_in_folder(EMBEDDER_ONLY + "search: {shards: 2}\n") as made:
        made.start().wait_ready(("all-MiniLM-L6-v2",))
        made.until(lambda: made.get("/readyz").json()["parts"]["search"] == "ready", HEAL_S)
        yield made


@pytest.fixture(scope="module")
def filled(shards: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of one chunk for each word: every second one is of the other shard."""
    client, folder = shards.sdk(), tmp_path_factory.mktemp("words")
    store = client.vector_stores.create(name="shards").id
    for word in WORDS:
        path: Path = folder / f"{word}.txt"
        path.write_text(f"The {word} stands in this note.")
        client.vector_stores.files.upload_and_poll(vector_store_id=store, file=path)
    return store


def found(client: openai.OpenAI, store: str) -> list[list[str]]:
    return [
        [hit.filename for hit in client.vector_stores.search(store, query=f"the {word}", max_num_results=8).data]
        for word in WORDS
    ]


def test_every_chunk_is_found_in_its_shard(shards: Stack, filled: str) -> None:
    titles = {" ".join(process.cmdline()) for process in shards.processes("search")}
    assert {title.split(":")[3] for title in titles} == {"search-0", "search-1"}
    hits = found(shards.sdk(), filled)
    assert [names[0] for names in hits] == [f"{word}.txt" for word in WORDS]
    assert all(len(names) == len(WORDS) for names in hits)


def test_a_shard_that_is_away_is_said_and_comes_back(shards: Stack, filled: str) -> None:
    client = shards.sdk()
    before = found(client, filled)
    shards.kill("search")
    deadline = time.monotonic() + HEAL_S
    while True:
        try:
            after = found(client, filled)
        except openai.InternalServerError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            assert after == before
            return
