"""What of a chat is looked for in documents, and how."""

from typing import Any

import pytest

from api.knowledge.answering import LONGEST_QUERY, options_of, queries_of
from api.openai.file_search import FileSearchTool
from configs.errors import BadRequest

ASK: dict[str, Any] = {"role": "user", "content": "How many days of leave does an employee have?"}


@pytest.mark.parametrize(
    ("messages", "queries"),
    [
        ([ASK], [ASK["content"]]),
        ([ASK, {"role": "assistant", "content": "a"}, {"role": "user", "content": " then? "}],
         ["then?", f"{ASK['content']}\nthen?"]),
        ([{"role": "user", "content": "x" * 9000}], ["x" * LONGEST_QUERY]),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], ["a\nb"]),
    ],
)  # fmt: skip
def test_the_last_message_is_looked_for(messages: list[dict[str, Any]], queries: list[str]) -> None:
    assert queries_of(messages) == queries


@pytest.mark.parametrize("last", [{"role": "user", "content": " "}, {"role": "assistant", "content": "a"}])
def test_a_message_without_text_cannot_be_looked_for(last: dict[str, Any]) -> None:
    said = [last] if last["role"] == "assistant" else [ASK, last]
    with pytest.raises(BadRequest):
        queries_of(said)


def test_what_the_tool_asks_for_is_what_is_searched() -> None:
    given: dict[str, Any] = {"type": "file_search", "vector_store_ids": ["vs_1"]}
    plain = options_of(FileSearchTool.model_validate(given), 0.2)
    assert (plain.max_results, plain.score_threshold, plain.floor, plain.filters) == (10, 0.0, 0.2, None)
    weights = {"embedding_weight": 2.0, "text_weight": 0.5}
    ranking = {"score_threshold": 0.0, "hybrid_search": weights, "mmr_lambda": 0.3}
    more = {"max_num_results": 3, "filters": {"type": "eq", "key": "k", "value": "v"}, "ranking_options": ranking}
    asked = options_of(FileSearchTool.model_validate(given | more), 0.2)
    assert (asked.max_results, asked.score_threshold, asked.floor) == (3, 0.0, 0.0)
    assert (asked.weights, asked.mmr_lambda) == ((2.0, 0.5), 0.3)
    assert asked.filters is not None
