from typing import Any, get_args

import orjson
import pytest

from api.openai.chat import MAX_ANNOTATIONS, MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, NOT_HERE, ChatRequest
from api.openai.file_search import FileSearchTool
from api.openai.messages import with_known_messages
from api.openai.sampling import Sampling
from configs.errors import BadRequest, UnsupportedParameter
from tests.fixtures.shapes import SAMPLING, accepts, refuses, refuses_unknown

USER = {"role": "user", "content": "hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TEXT = {"type": "text", "text": "t"}
SEARCH: dict[str, Any] = {"type": "file_search", "vector_store_ids": ["vs_1"]}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **function}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER], **fields}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
OWN: list[tuple[str, list[Any], list[Any]]] = [
    ("messages", [[USER], [USER] * MAX_MESSAGES], [[], [USER] * (MAX_MESSAGES + 1), None, "hello", ["hello"]]),
    (
        "tools",
        [
            [tool()],
            [tool()] * MAX_TOOLS,
            [tool(description="d" * 4096, parameters={"type": "object"}, strict=True)],
            [tool(name="a" * 64)],
        ],
        [
            [],
            [tool()] * (MAX_TOOLS + 1),
            [tool(description="d" * 4097)],
            [tool(name="a" * 65)],
            [tool(name="")],
            [tool(name="a b")],
            [tool(extra=1)],
            [{"type": "web_search"}],
            [{"type": "function"}],
        ],
    ),
    (
        "tools",
        [
            [SEARCH],
            [SEARCH | {"max_num_results": 50, "filters": {"type": "eq", "key": "k", "value": 1}}],
            [SEARCH | {"ranking_options": {"score_threshold": 0.5}}],
            [SEARCH | {"vector_store_ids": ["vs_1"] * 16}],
        ],
        [
            [SEARCH | {"vector_store_ids": []}],
            [SEARCH | {"vector_store_ids": ["vs_1"] * 17}],
            [SEARCH | {"max_num_results": 0}],
            [SEARCH | {"max_num_results": 51}],
            [SEARCH | {"function": {"name": "f"}}],
            [{"type": "file_search"}],
            [SEARCH | {"filters": []}],
            [SEARCH | {"ranking_options": {"score_threshold": 2}}],
            [SEARCH, SEARCH],
            [SEARCH, tool()],
        ],
    ),
    ("parallel_tool_calls", [True, False, None], [1]),
    (
        "response_format",
        [{"type": "text"}, {"type": "json_object"}, SCHEMA],
        [{"type": "json_schema"}, SCHEMA | {"type": "text"}, {"type": "xml"}, {}, {"type": "text", "x": 1}],
    ),
    ("logprobs", [True, False], [1]),
    ("max_completion_tokens", [1, 2**31 - 1], [0, 2**31]),
    ("reasoning_effort", ["none", "minimal", "low", "medium", "high", "xhigh", None], ["most", ""]),
    ("verbosity", ["medium", None], ["low"]),
    ("modalities", [["text"], None], [["audio"], ["text", "audio"], "text"]),
    ("store", [False, None], [True]),
    ("service_tier", ["auto", "default", None], ["flex", "priority"]),
    ("safety_identifier", ["s" * 512], ["s" * 513]),
    ("prompt_cache_key", ["k" * 512], ["k" * 513]),
]
GOOD = [(name, value) for name, good, _ in SAMPLING + OWN for value in good]
BAD = [(name, value) for name, _, bad in SAMPLING + OWN for value in bad]
TOGETHER = {"stream_options", "top_logprobs", "tool_choice"}
"""Fields that need another one; they are tested below."""


def test_every_field_is_tested() -> None:
    assert {name for name, _, _ in SAMPLING + OWN} | TOGETHER == set(ChatRequest.model_fields)
    assert {name for name, _, _ in SAMPLING} | {"stream_options"} == set(Sampling.model_fields)


@pytest.mark.parametrize(("name", "value"), GOOD, ids=lambda each: str(each)[:40])
def test_a_field_is_accepted_up_to_its_limits(name: str, value: Any) -> None:
    accepts(ChatRequest, body(**{name: value}))


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda each: str(each)[:40])
def test_a_field_is_refused_beyond_its_limits(name: str, value: Any) -> None:
    error = refuses(ChatRequest, body(**{name: value}))
    assert error.param is not None
    assert error.param.startswith(name)


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_required_field_is_asked_for(name: str) -> None:
    without = {field: value for field, value in body().items() if field != name}
    assert refuses(ChatRequest, without).message == f"Missing required parameter: {name!r}."


@pytest.mark.parametrize(
    "name", ["best_of", "suffix", "extra", "Temperature", "guided_json", "vllm_xargs", "__class__"]
)
def test_an_unknown_field_is_refused(name: str) -> None:
    refuses_unknown(ChatRequest, body(**{name: 1}), name if name == name.lower() else "")


@pytest.mark.parametrize("name", NOT_HERE)
def test_a_field_that_cannot_be_honoured_is_refused_with_its_reason(name: str) -> None:
    error = refuses(ChatRequest, body(**{name: {"x": 1}}))
    assert isinstance(error, UnsupportedParameter)
    assert error.param == name
    assert NOT_HERE[name] in error.message
    accepted_name = set(ChatRequest.model_fields)
    assert name not in accepted_name


def test_fields_that_need_another_one() -> None:
    for good in (
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {"logprobs": True, "top_logprobs": 0},
        {"logprobs": True, "top_logprobs": 20},
        {"tools": [tool()], "tool_choice": "required"},
        {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": "none"},
        {"tools": [SEARCH], "tool_choice": "auto"},
        {"tools": [SEARCH], "tool_choice": "required", "n": 1},
    ):
        accepts(ChatRequest, body(**good))
    for bad, words in (
        ({"stream_options": {"include_usage": True}}, "'stream_options' only with"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"top_logprobs": 1}, "'top_logprobs' only with"),
        ({"logprobs": True, "top_logprobs": 21}, "at most 20"),
        ({"logprobs": True, "top_logprobs": -1}, "at least 0"),
        ({"tool_choice": "auto"}, "'tool_choice' only with"),
        ({"tools": [SEARCH], "tool_choice": "none"}, "always searched"),
        ({"tools": [SEARCH], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "always searched"),
        ({"tools": [SEARCH], "n": 2}, "is one"),
        ({"tools": [tool()], "tool_choice": "some"}, "one of"),
        ({"tools": [tool()], "tool_choice": {"type": "function", "function": {}}}, "Missing"),
    ):
        assert words in refuses(ChatRequest, body(**bad)).message


GOOD_MESSAGES = [
    {"role": "system", "content": "s"},
    {"role": "developer", "content": [TEXT], "name": "d"},
    {"role": "user", "content": [TEXT, IMAGE], "name": "u-1"},
    {"role": "user", "content": [TEXT] * MAX_PARTS},
    {"role": "assistant", "content": "a"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "refusal": "no", "tool_calls": [CALL] * MAX_TOOLS},
    {"role": "assistant", "content": "a", "reasoning": "r", "annotations": [], "audio": None, "function_call": None},
    {"role": "assistant", "content": "a", "annotations": [{"type": "file_citation"}] * MAX_ANNOTATIONS},
    {"role": "tool", "content": "t", "tool_call_id": "i" * 256},
]
BAD_MESSAGES = [
    {"role": "assistant", "content": "a", "annotations": [1]},
    {"role": "assistant", "content": "a", "annotations": [{}] * (MAX_ANNOTATIONS + 1)},
    {"role": "assistant", "content": "a", "audio": {"id": "a"}},
    {"role": "robot", "content": "x"},
    {"content": "x"},
    {"role": "user"},
    {"role": "user", "content": None},
    {"role": "user", "content": []},
    {"role": "user", "content": [TEXT] * (MAX_PARTS + 1)},
    {"role": "user", "content": "x", "extra": 1},
    {"role": "user", "content": "x", "name": "a b"},
    {"role": "system", "content": [IMAGE]},
    {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
    {"role": "tool", "content": "x"},
    {"role": "tool", "content": "x", "tool_call_id": ""},
    {"role": "tool", "content": "x", "tool_call_id": "i" * 257},
    {"role": "assistant", "tool_calls": [CALL] * (MAX_TOOLS + 1)},
    {"role": "assistant", "tool_calls": [CALL | {"id": ""}]},
    {"role": "assistant", "tool_calls": [CALL | {"function": {"name": "f", "arguments": {}}}]},
]
BAD_URLS = [
    "https://example.com/a.png", "file:///a.png", "data:image/gif;base64,AAAA", "data:text/html;base64,AAAA",
    "data:image/png;base64,", "data:image/png;base64,A A", "data:image/png,AAAA", " data:image/png;base64,AAAA",
]  # fmt: skip


@pytest.mark.parametrize("message", GOOD_MESSAGES, ids=lambda each: str(each)[:60])
def test_a_message_of_each_role_is_accepted(message: dict[str, Any]) -> None:
    accepts(ChatRequest, body(messages=[USER, message]))


@pytest.mark.parametrize("message", BAD_MESSAGES, ids=lambda each: str(each)[:60])
def test_a_wrong_message_is_refused_by_its_place(message: dict[str, Any]) -> None:
    param = refuses(ChatRequest, body(messages=[USER, message])).param
    assert param is not None
    assert param.startswith("messages[1]")


@pytest.mark.parametrize("url", BAD_URLS)
def test_only_images_inside_the_request_are_taken(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    assert "image_url.url" in str(refuses(ChatRequest, body(messages=[{"role": "user", "content": content}])).param)


def test_a_param_has_no_names_of_branches() -> None:
    weights = {"embedding_weight": 0, "text_weight": 0}
    places = {
        "messages[0].content[0].text": body(messages=[{"role": "user", "content": [{"type": "text", "text": 1}]}]),
        "messages[0].content": body(messages=[{"role": "user", "content": 1}]),
        "messages[0].tool_call_id": body(messages=[{"role": "tool", "content": "x"}]),
        "tools[0].vector_store_ids[0]": body(tools=[SEARCH | {"vector_store_ids": [1]}]),
        "tools[0].ranking_options.hybrid_search": body(
            tools=[SEARCH | {"ranking_options": {"hybrid_search": weights}}]
        ),
        "tool_choice.function.name": body(tool_choice={"type": "function", "function": {"name": 1}}),
        "tools[0].function.name": body(tools=[{"type": "function", "function": {"name": 1}}]),
    }
    assert [refuses(ChatRequest, wrong).param for wrong in places.values()] == list(places)


@pytest.mark.parametrize("annotations", [[], [{"type": "file_citation", "file_id": "file-1"}]])
def test_what_a_model_is_not_told_again_is_dropped(annotations: list[Any]) -> None:
    dropped: dict[str, object] = {"annotations": annotations, "audio": None, "function_call": None}
    sent = body(messages=[USER, {"role": "assistant", "content": "a", "reasoning": "r", **dropped}])
    changed = orjson.loads(with_known_messages(orjson.dumps(sent), sent))
    assert changed == body(messages=[USER, {"role": "assistant", "content": "a", "reasoning": "r"}])


def test_developer_becomes_system_and_nothing_else_changes() -> None:
    raw = b'{"messages": [{"role": "user", "content": "hi"}],  "model": "m"}'
    assert with_known_messages(raw, orjson.loads(raw)) is raw
    parsed = body(messages=[{"role": "developer", "content": "developer"}, USER], seed=7)
    changed = with_known_messages(b"developer", parsed)
    assert b'{"role":"system","content":"developer"}' in changed
    assert b'"seed":7' in changed


def test_a_filter_that_is_none_is_refused_by_its_place() -> None:
    with pytest.raises(BadRequest) as raised:
        FileSearchTool.model_validate(SEARCH | {"filters": {"type": "like"}}).filter  # noqa: B018  it is parsed there
    assert raised.value.param == "tools[0].filters"


def test_the_search_may_be_chosen_as_openai_spells_it() -> None:
    chosen = {"type": "file_search"}
    accepts(ChatRequest, body(tools=[SEARCH], tool_choice=chosen))
    for wrong in (body(tools=[tool()], tool_choice=chosen), body(tools=[SEARCH], tool_choice="none")):
        assert refuses(ChatRequest, wrong).param == "tool_choice"
    assert refuses(ChatRequest, body(tools=[SEARCH], tool_choice=chosen | {"x": 1})).param == "tool_choice.x"


def test_efforts_are_openais() -> None:
    annotation = get_args(ChatRequest.model_fields["reasoning_effort"].annotation)[0]
    assert set(get_args(annotation)) == {"none", "minimal", "low", "medium", "high", "xhigh"}
