"""Documents of a person, from the upload to the answer, as the ordinary SDK sees it."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import VectorStore

from retrieval.evaluation.corpus import Question, questions, sources
from tests.fixtures import folders
from tests.fixtures.members import registered
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack

FEW = 24
DONE_S = 240


def answered(few: int) -> tuple[list[Question], list[Any]]:
    """The first questions, and the documents that answer them."""
    chosen = list(itertools.islice((each for each in questions() if each.package is not None), few))
    wanted = {each.package for each in chosen}
    found = [source for source in sources() if source.package in wanted]
    there = {source.package for source in found}
    return [each for each in chosen if each.package in there], found


@pytest.fixture(scope="module")
def asked() -> tuple[list[Question], list[Any]]:
    return answered(FEW)


@pytest.fixture(scope="module")
def client(stack: Stack) -> openai.OpenAI:
    return stack.sdk()


@pytest.fixture(scope="module")
def store(
    client: openai.OpenAI, asked: tuple[list[Question], list[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VectorStore]:
    """With a file for each document, in many formats, one that nobody can read, and its files' names as attributes."""
    folder = tmp_path_factory.mktemp("documents")
    paths = folders.write(folder, asked[1])
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing")
    made = client.vector_stores.create(name="library", metadata={"made": "by a test"})
    files: list[dict[str, Any]] = []
    for package, path in [*paths.items(), ("broken", folder / "broken.pdf")]:
        file = client.files.create(file=path, purpose="assistants")
        files.append({"file_id": file.id, "attributes": {"package": package}})
    batch = client.vector_stores.file_batches.create(made.id, files=files)  # type: ignore[arg-type]
    deadline = time.monotonic() + DONE_S
    while batch.status == "in_progress":
        assert time.monotonic() < deadline, batch.file_counts
        time.sleep(0.5)
        batch = client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=made.id)
    assert (batch.file_counts.completed, batch.file_counts.failed) == (len(paths), 1)
    yield client.vector_stores.retrieve(made.id)
    client.vector_stores.delete(made.id)
    for added in files:
        client.files.delete(added["file_id"])


def test_the_store_knows_its_files(client: openai.OpenAI, store: VectorStore) -> None:
    assert store.status == "completed"
    assert store.file_counts.total == store.file_counts.completed + 1
    assert store.usage_bytes > 10_000
    (failed,) = client.vector_stores.files.list(store.id, filter="failed").data
    assert failed.last_error is not None
    assert failed.last_error.code == "invalid_file"
    assert failed.last_error.message


def test_questions_find_the_documents_that_answer(
    client: openai.OpenAI, store: VectorStore, asked: tuple[list[Question], list[Any]]
) -> None:
    hits = 0
    for question in asked[0]:
        page = client.vector_stores.search(store.id, query=question.question, max_num_results=5)
        scores = [each.score for each in page.data]
        assert all(0 <= score <= 1 for score in scores)
        hits += any(each.attributes == {"package": question.package} for each in page.data)
    assert hits >= 0.85 * len(asked[0])


def test_filters_and_thresholds_hold(client: openai.OpenAI, store: VectorStore) -> None:
    package = "tiktoken"
    only: Any = {"type": "eq", "key": "package", "value": package}
    page = client.vector_stores.search(store.id, query="How are tokens counted?", filters=only)
    assert {str((each.attributes or {})["package"]) for each in page.data} == {package}
    none = client.vector_stores.search(
        store.id, query="zzzz qqqq", ranking_options={"ranker": "none", "score_threshold": 0.95}
    )
    assert none.data == []


def test_what_was_just_written_is_found_and_what_was_deleted_is_not(
    client: openai.OpenAI, store: VectorStore, tmp_path: Path
) -> None:
    path = tmp_path / "heron.md"
    path.write_text("# The heron\n\nThe heron of the quarry waits for xylographers in the morning.\n")
    file = client.files.create(file=path, purpose="assistants")
    added = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    assert added.status == "completed"

    def found() -> bool:
        page = client.vector_stores.search(store.id, query="xylographers heron", max_num_results=3)
        return any(each.file_id == file.id for each in page.data)

    assert found()
    client.files.delete(file.id)
    assert not found()


def test_another_persons_store_is_not_there(stack: Stack, store: VectorStore) -> None:
    somebody = registered(stack, "somebody-else")
    for method, path, body in (
        ("POST", f"/v1/vector_stores/{store.id}/search", {"query": "tokens"}),
        ("GET", f"/v1/vector_stores/{store.id}", None),
        ("GET", f"/v1/vector_stores/{store.id}/files", None),
        ("DELETE", f"/v1/vector_stores/{store.id}", None),
    ):
        assert somebody.request(method, path, json=body).status_code == 404
    assert somebody.request("GET", "/v1/vector_stores").json()["data"] == []


def test_an_answer_names_its_sources(client: openai.OpenAI, store: VectorStore) -> None:
    tool: Any = {"type": "file_search", "vector_store_ids": [store.id], "max_num_results": 3}
    whole = client.chat.completions.create(
        model="starter", messages=[{"role": "user", "content": "How are tokens counted?"}], tools=[tool], max_tokens=40
    )
    assert whole.choices[0].message.content
    told = whole.model_dump()
    assert len(told["file_search"]["results"]) >= 1
    assert all(each["filename"] and each["file_id"] for each in told["file_search"]["results"])


def test_nothing_found_is_said_without_asking_the_model(client: openai.OpenAI, store: VectorStore) -> None:
    tool: Any = {
        "type": "file_search",
        "vector_store_ids": [store.id],
        "ranking_options": {"ranker": "none", "score_threshold": 0.99},
    }
    answer = client.chat.completions.create(
        model="starter", messages=[{"role": "user", "content": "qqqq zzzz"}], tools=[tool]
    )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0
