"""A folder of several hundred real documents, ingested by the command and asked about through the SDK (deep).

The bundled model is far too small to answer from sources. So that its answers can be checked, each is told what to say
(`response_format`): a sentence that the right document has, and markers behind it. Everything else is as ever: search,
sources, prompt, generation, citations. A citation counts when its quote stands where it says: in the text that the API
gives of the file, in the document as it was written, and on the page that is named.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest

from retrieval.evaluation.corpus import Question, questions, squeezed
from tests.fixtures import documents
from tests.fixtures.documents import Written
from tests.fixtures.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.deep, pytest.mark.timeout(2400)]

LEAST_FILES, LEAST_QUESTIONS = 300, 20
INGEST_S = 1800.0
NAME = "papers"
MARKERS = " [1][2][3]"
BESIDE = 200
"""Characters of a text: a quote is one line where the answer may have two."""
SURE = 0.45
"""More than this no question without an answer may reach."""
NO_ANSWER = "The documents do not contain an answer to this."


@dataclass
class Library:
    """The store, and what is in its files, by the path that the command gave each."""

    folder: Path
    client: openai.OpenAI
    store_id: str
    written: dict[str, Written]
    paths: dict[str, str]
    """By id of the file."""
    texts: dict[str, str] = field(default_factory=dict)

    def document(self, file_id: str) -> Written:
        return self.written[self.paths[file_id].removeprefix(f"{NAME}/")]

    def text(self, file_id: str) -> str:
        """As the API has read it."""
        if file_id not in self.texts:
            parts = self.client.vector_stores.files.content(file_id, vector_store_id=self.store_id)
            self.texts[file_id] = "".join(part.text or "" for part in parts.data)
        return self.texts[file_id]

    def ask(self, question: str, says: str | None = None, **ranking: Any) -> Any:
        """The answer of the model, as a dictionary."""
        tool: Any = {"type": "file_search", "vector_store_ids": [self.store_id], "max_num_results": 6}
        more = {"ranking_options": ranking} if ranking else {}
        said: Any = {"response_format": _only(says)} if says is not None else {}
        answer = self.client.chat.completions.create(
            model="starter",
            messages=[{"role": "user", "content": question}],
            tools=[tool | more],
            max_tokens=500,
            **said,
        )
        return answer.model_dump()


def _only(says: str) -> dict[str, Any]:
    """A format that one answer has."""
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": [says]}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


@pytest.fixture(scope="module")
def library(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("real") / NAME
    folder.mkdir()
    written = documents.write(folder)
    assert len(written) >= LEAST_FILES
    report = ingested(stack, folder, "--no-wait")
    assert (len(report["new"]), report["skipped"], report["failed"]) == (len(written), [], [])
    client, store_id = stack.sdk(), report["store"]["id"]
    deadline = time.monotonic() + INGEST_S
    while (counts := client.vector_stores.retrieve(store_id).file_counts).in_progress:
        assert time.monotonic() < deadline, counts
        time.sleep(2)
    failed = [each.last_error for each in client.vector_stores.files.list(store_id, filter="failed")]
    assert (counts.completed, failed) == (len(written), [])
    paths = {
        each.id: str((each.attributes or {})["path"]) for each in client.vector_stores.files.list(store_id, limit=100)
    }
    yield Library(folder, client, store_id, written, paths)
    client.vector_stores.delete(store_id)
    for file_id in paths:
        client.files.delete(file_id)


def ingested(stack: Stack, folder: Path, *flags: str) -> Any:
    """What the command tells."""
    ran = stack.manta("ingest", str(folder), "--config", str(stack.config), "--json", *flags)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def answered(library: Library) -> list[Question]:
    """Questions that a document of the folder answers."""
    there = {each.package for each in library.written.values()}
    return [each for each in questions() if each.package in there and each.answer is not None]


def test_a_second_run_costs_nothing(stack: Stack, library: Library) -> None:
    report = ingested(stack, library.folder)
    assert (report["unchanged"], report["new"], report["changed"]) == (len(library.written), [], [])


def test_citations_open_at_the_right_place(library: Library) -> None:
    asked = answered(library)
    assert len(asked) >= LEAST_QUESTIONS
    cited = right = 0
    for question in asked:
        said = squeezed(question.answer or "").replace("`", "'").replace("[", "(").replace("]", ")") + MARKERS
        answer = library.ask(question.question, said)
        message = answer["choices"][0]["message"]
        assert message["content"], question
        assert json.loads(message["content"]) == {"answer": said}, question
        assert message["annotations"], question
        for each in message["annotations"]:
            check_citation(library, message["content"], each)
            cited += 1
        right += any(_answers(library, question, each) for each in message["annotations"])
        for result in answer["file_search"]["results"]:
            check_result(library, result)
    assert cited >= LEAST_QUESTIONS
    assert right >= 0.5 * len(asked)  # one of the citations stands on the answer itself


def check_citation(library: Library, content: str, cited: dict[str, Any]) -> None:
    """Its marker stands in the answer, its quote in the file's text at its offsets, and on its page of the document."""
    assert content[cited["start_index"] : cited["end_index"]].strip("[]").isdigit()
    quote, text = cited["quote"], library.text(cited["file_id"])
    assert quote
    assert text[cited["quote_start"] : cited["quote_end"]] == quote
    document = library.document(cited["file_id"])
    assert document.path.endswith(f"/{cited['filename']}")
    assert document.says(quote), (document.path, quote)
    if document.pages:
        assert document.says_on(cited["page"], quote), (document.path, cited["page"], quote)


def check_result(library: Library, result: dict[str, Any]) -> None:
    """What was found begins on the page that is named."""
    document = library.document(result["file_id"])
    passage = library.text(result["file_id"])[result["start"] : result["end"]]
    assert document.says(passage), document.path
    if document.pages:
        assert document.says_on(result["page"], passage), (document.path, result["page"], passage[:80])


def _answers(library: Library, question: Question, cited: dict[str, Any]) -> bool:
    """Whether the answer stands where the citation points, or in the lines beside it."""
    near = slice(max(0, cited["quote_start"] - BESIDE), cited["quote_end"] + BESIDE)
    there = documents.bare(library.text(cited["file_id"])[near])
    same = library.document(cited["file_id"]).package == question.package
    return same and documents.bare(question.answer or "") in there


def test_what_no_document_answers_is_said(library: Library) -> None:
    """Of some questions the nearest passage is as near as that of an answer may be: those are the model's to refuse."""
    asked = [each.question for each in questions() if each.package is None]
    by_default = [library.ask(each) for each in asked]
    refused = [each for each in by_default if each["choices"][0]["message"]["content"] == NO_ANSWER]
    assert len(refused) >= len(asked) / 2
    sure = [library.ask(each, ranker="none", score_threshold=SURE) for each in asked]
    for answer in (*refused, *sure):
        assert answer["choices"][0]["message"]["content"] == NO_ANSWER, answer
        assert answer["choices"][0]["message"]["annotations"] == []
        assert answer["usage"]["completion_tokens"] == 0
        assert answer["file_search"]["results"] == []
