"""Parts of search and ingest killed: nothing that was acknowledged is lost, nothing is there twice."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fixtures.stack import CONFIGURATION, Stack, stack_in_folder

pytestmark = pytest.mark.faults

EMBEDDER_ONLY = "model_list:\n  - model_name: all-MiniLM" + CONFIGURATION.partition("  - model_name: all-MiniLM")[2]
HEAL_S = 180
WORDS = [
    "heron",
    "quarry",
    "lantern",
    "meadow",
    "harbour",
    "copper",
    "violin",
    "glacier",
    "saffron",
    "orchard",
    "pepper",
    "anvil",
]


@pytest.fixture(scope="module")
def search_stack() -> Iterator[Stack]:
    with stack_in_folder(EMBEDDER_ONLY) as made:
        made.start().wait_ready(("all-MiniLM-L6-v2",))
        yield made


@pytest.fixture(scope="module")
def client(search_stack: Stack) -> openai.OpenAI:
    return search_stack.sdk()


def text(word: str, lines: int = 1200) -> str:
    """Enough for several chunks."""
    return "\n\n".join(f"The {word} number {number} stands in paragraph {number}." for number in range(lines))


def added(client: openai.OpenAI, store: str, folder: Path, words: list[str]) -> dict[str, str]:
    """The file of each word, on its way into the store."""
    files = {}
    for word in words:
        path = folder / f"{word}.txt"
        path.write_text(text(word))
        files[word] = client.files.create(file=path, purpose="assistants").id
    client.vector_stores.file_batches.create(store, file_ids=list(files.values()))
    return files


def counts(client: openai.OpenAI, store: str) -> Any:
    return client.vector_stores.retrieve(store).file_counts


def until_done(client: openai.OpenAI, store: str) -> None:
    deadline = time.monotonic() + HEAL_S
    while (found := counts(client, store)).in_progress:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert found.failed == 0


def first(client: openai.OpenAI, store: str, word: str) -> list[str]:
    """The files of the best hits, however long search is away."""
    deadline = time.monotonic() + HEAL_S
    while True:
        try:
            return [hit.file_id for hit in client.vector_stores.search(store, query=f"the {word}").data[:3]]
        except openai.InternalServerError:
            assert time.monotonic() < deadline
            time.sleep(0.3)


def test_killed_search_answers_as_before(search_stack: Stack, client: openai.OpenAI, tmp_path: Path) -> None:
    store = client.vector_stores.create(name="killed").id
    files = added(client, store, tmp_path, WORDS[:4])
    until_done(client, store)
    before = {word: first(client, store, word) for word in files}
    assert all(found[0] == files[word] for word, found in before.items())
    old = search_stack.kill("search")
    assert {word: first(client, store, word) for word in files} == before
    assert search_stack.processes("search")[0].pid != old


@pytest.mark.parametrize("part", ["ingest", "control"])
def test_killed_ingest_loses_nothing_and_doubles_nothing(
    search_stack: Stack, client: openai.OpenAI, tmp_path: Path, part: str
) -> None:
    store = client.vector_stores.create(name=part).id
    files = added(client, store, tmp_path, WORDS)
    search_stack.until(lambda: search_stack.processes("ingest"), HEAL_S)
    search_stack.until(lambda: counts(client, store).completed >= 1, HEAL_S)
    search_stack.kill(part)
    until_done(client, store)
    for word, file_id in files.items():
        content = client.vector_stores.files.content(file_id, vector_store_id=store).data
        assert "".join(part.text or "" for part in content) == text(word)
        assert first(client, store, word)[0] == file_id
