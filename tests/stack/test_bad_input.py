"""Poison: every item is refused in OpenAI's shape, and the next request is served."""

import base64
import json
import zlib
from typing import Any

import pytest

from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack

ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize", "/api/models", "/api/keys")
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(64)

RAW = {
    "empty": b"",
    "not json": b"hello",
    "png": PNG,
    "invalid utf-8": b'{"model": "\xff\xfe"}',
    "overlong": b'{"model": "\xc0\xaf"}',
    "bom": b"\xef\xbb\xbf{}",
    "utf-16": '{"model": "starter"}'.encode("utf-16"),
    "lone surrogate": b'{"model": "\\ud800"}',
    "surrogate in a key": b'{"\\udfff": 1}',
    "nul": b'{"model": "a\\u0000b"}',
    "NaN": b'{"model": "starter", "temperature": NaN}',
    "Infinity": b'{"model": "starter", "temperature": Infinity}',
    "1e999": b'{"model": "starter", "temperature": 1e999}',
    "5,000 digits": b'{"model": "starter", "max_tokens": ' + b"9" * 5000 + b"}",
    "nested 900": b"[" * 900 + b"]" * 900,
    "nested 100k": b"[" * 100_000 + b"]" * 100_000,
    "objects 900": b'{"a":' * 900 + b"1" + b"}" * 900,
    "array": b"[]",
    "number": b"1",
    "null": b"null",
    "a key with NUL": b'{"model\\u0000": "starter"}',
    "1 MB key": b'{"' + b"k" * 2**20 + b'": 1}',
    "minus zero": b'{"model": "starter", "max_tokens": -0, "input": -0, "name": -0}',
    "proto": b'{"__proto__": {"admin": true}}',
    "cut": b'{"model": "starter", "messages": [',
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("poison", RAW)
def test_raw_poison(stack: Stack, route: str, poison: str) -> None:
    answer = stack.request("POST", route, content=RAW[poison], headers={"content-type": "application/json"})
    check(stack, answer, RAW[poison])


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "starter", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4} | fields


def schema(value: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f"} | function}


def branching(depth: int) -> dict[str, Any]:
    """A schema whose grammar doubles with every level."""
    if depth == 0:
        return {"type": "string", "pattern": "(a|b)*" * 200}
    return {"anyOf": [branching(depth - 1), {"type": "array", "items": branching(depth - 1)}]}


def image_bomb() -> str:
    """A PNG whose head promises 3.6 thousand million pixels."""
    head = b"IHDR" + (60_000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00"
    png = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4) + head + zlib.crc32(head).to_bytes(4)
    return "data:image/png;base64," + base64.b64encode(png).decode()


CHATS: dict[str, dict[str, Any]] = {
    "no model": {"messages": [{"role": "user", "content": "x"}]},
    "no messages": {"model": "starter"},
    "empty messages": chat(messages=[]),
    "10k messages": chat(messages=[{"role": "user", "content": "x"}] * 10_000),
    "unknown role": chat(messages=[{"role": "root", "content": "x"}]),
    "content number": chat(messages=[{"role": "user", "content": 7}]),
    "content null": chat(messages=[{"role": "user", "content": None}]),
    "file url": chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]
    ),
    "server-side fetch": chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]}]
    ),
    "temperature -1": chat(temperature=-1),
    "temperature 2.1": chat(temperature=2.1),
    "temperature text": chat(temperature="hot"),
    "top_p 0": chat(top_p=0),
    "top_p 2": chat(top_p=2),
    "n 0": chat(n=0),
    "n 1000": chat(n=1000),
    "max_tokens 0": chat(max_tokens=0),
    "max_tokens -1": chat(max_tokens=-1),
    "max_tokens huge": chat(max_tokens=2**63),
    "top_logprobs 1000": chat(logprobs=True, top_logprobs=1000),
    "top_logprobs alone": chat(top_logprobs=2),
    "top_k -7": chat(top_k=-7),
    "stop 10k": chat(stop=["x"] * 10_000),
    "stop empty": chat(stop=""),
    "bias of no token": chat(logit_bias={"999999999": 1}),
    "bias of text": chat(logit_bias={"x": 1}),
    "bias 1000": chat(logit_bias={"1": 1000}),
    "seed text": chat(seed="x"),
    "stream text": chat(stream="yes"),
    "stream_options alone": chat(stream_options={"include_usage": True}),
    "unknown field": chat(prompt_logprobs=3),
    "engine switch": chat(chat_template="{{ 1/0 }}"),
    "cache salt": chat(cache_salt="other"),
    "2,000 tools": chat(tools=[tool(name=f"f{number}") for number in range(2000)]),
    "1 MB tool name": chat(tools=[tool(name="f" * 2**20)]),
    "tool choice of no tool": chat(tool_choice="required"),
    "tool choice of another": chat(tools=[tool()], tool_choice={"type": "function", "function": {"name": "g"}}),
    "parentheses": chat(response_format=schema({"type": "string", "pattern": "(" * 60_000})),
    "closed parentheses": chat(
        response_format=schema({"type": "string", "pattern": "(" * 60_000 + "a" + ")" * 60_000})
    ),
    "lookbehind": chat(response_format=schema({"type": "string", "pattern": "(?<=a"})),
    "bad repeat": chat(response_format=schema({"type": "string", "pattern": "^{2}("})),
    "schema of nonsense": chat(response_format=schema({"type": "nonsense"})),
    "bomb of branches": chat(response_format=schema(branching(12))),
    "bomb of pattern properties": chat(
        response_format=schema(
            {"type": "object", "patternProperties": {f"^{'(a|b)' * 40}{n}$": {"type": "string"} for n in range(300)}}
        )
    ),
    "comma without data": chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]}]
    ),
    "data url without a comma": chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png"}}]}]
    ),
    "image of 60,000 times 60,000": chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": image_bomb()}}]}]
    ),
    "remote ref": chat(response_format=schema({"$ref": "http://example.com/schema.json"})),
    "unknown format": chat(response_format={"type": "xml"}),
    "tool with parentheses": chat(
        tools=[tool(parameters={"type": "object", "properties": {"a": {"type": "string", "pattern": "(" * 60_000}}})],
        tool_choice="required",
    ),
    "too long": chat(messages=[{"role": "user", "content": "word " * 20_000}]),
    "too many tokens": chat(max_tokens=100_000),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("poison", CHATS)
def test_chat_poison(stack: Stack, poison: str, *, stream: bool) -> None:
    body = json.dumps(CHATS[poison] | ({"stream": True} if stream and poison != "stream text" else {}))
    if stream and poison == "stream_options alone":
        pytest.skip("is right in a stream")
    answer = stack.request("POST", "/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    check(stack, answer, body.encode())


def completion(**fields: Any) -> dict[str, Any]:
    return {"model": "starter", "prompt": "hello", "max_tokens": 4} | fields


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "empty prompt list": ("/v1/completions", completion(prompt=[])),
    "prompt number": ("/v1/completions", completion(prompt=3)),
    "token beyond the vocabulary": ("/v1/completions", completion(prompt=[10**6])),
    "negative token": ("/v1/completions", completion(prompt=[-1])),
    "best_of 1000": ("/v1/completions", completion(best_of=1000)),
    "logprobs 1000": ("/v1/completions", completion(logprobs=1000)),
    "suffix": ("/v1/completions", completion(suffix="x")),
    "embedding by a chat model": ("/v1/embeddings", {"model": "starter", "input": "x"}),
    "chat by an embedder": ("/v1/chat/completions", chat(model="all-MiniLM-L6-v2")),
    "no input": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2"}),
    "empty input": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": ""}),
    "empty list": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": []}),
    "mixed": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": ["a", [1]]}),
    "3,000 inputs": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": ["a"] * 3000}),
    "no such token": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": [10**6]}),
    "dimensions 0": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", "dimensions": 0}),
    "dimensions 385": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", "dimensions": 385}),
    "encoding": ("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", "encoding_format": "hex"}),
    "reranking by an embedder": (
        "/v1/rerank",
        {"model": "all-MiniLM-L6-v2", "query": "a", "documents": ["b"]},
    ),
    "no documents": ("/v1/rerank", {"model": "all-MiniLM-L6-v2", "query": "a", "documents": []}),
    "model without a backend": ("/api/models", {"model_name": "x", "kind": "chat", "params": {"model": "nobody/x"}}),
    "model with a typo": (
        "/api/models",
        {"model_name": "x", "kind": "chat", "params": {"model": "vllm/x"}, "engine": {"max_modell_len": 3}},
    ),
    "key without a name": ("/api/keys", {}),
    "key of no permission": ("/api/keys", {"name": "x", "permissions": ["root"]}),
}


@pytest.mark.parametrize("poison", OTHERS)
def test_other_poison(stack: Stack, poison: str) -> None:
    route, body = OTHERS[poison]
    check(stack, stack.request("POST", route, json=body), json.dumps(body).encode())


def test_a_huge_body_is_413_with_and_without_its_length(stack: Stack) -> None:
    huge = b'{"model": "' + b"x" * (70 * 2**20) + b'"}'
    headers = {"content-type": "application/json"}
    assert stack.request("POST", "/v1/chat/completions", content=huge, headers=headers).status_code == 413
    pieces = (huge[start : start + 2**20] for start in range(0, len(huge), 2**20))
    assert stack.request("POST", "/v1/chat/completions", content=pieces, headers=headers).status_code == 413
    assert_next_is_served(stack)


def test_wrong_content_type_and_method(stack: Stack) -> None:
    body = json.dumps(chat()).encode()
    answer = stack.request("POST", "/v1/chat/completions", content=body, headers={"content-type": "text/plain"})
    check(stack, answer, body)
    assert stack.request("GET", "/v1/chat/completions").status_code == 405
    assert stack.request("GET", "/v1/nothing").json()["error"]["type"] == "invalid_request_error"


CATASTROPHES = {
    "(a+)+$": {"type": "string", "pattern": "^(a+)+$"},
    "a schema that names itself": {
        "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}},
        "$ref": "#/$defs/n",
    },
    "a loop of names": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "true": True,
    "1,000 properties": {"type": "object", "properties": {f"p{n}": {"type": "integer"} for n in range(1000)}},
}
"""Each ends a validator somewhere; what counts is that it is answered, served or refused, and that the engine lives."""


@pytest.mark.parametrize("name", CATASTROPHES)
def test_a_catastrophe_of_a_schema_is_served_or_refused(stack: Stack, name: str) -> None:
    body = chat(response_format=schema(CATASTROPHES[name]))
    answer = stack.request("POST", "/v1/chat/completions", json=body)
    assert answer.status_code == 200 or answer.json()["error"]["type"] == "invalid_request_error", answer.text[:300]
    assert_next_is_served(stack)


def test_strange_text_is_served(stack: Stack) -> None:
    strange = "\u2028\u202e\U000e0041 e" + "\u0301" * 500 + "👩‍👩‍👧‍👦" * 20
    answer = stack.request("POST", "/v1/chat/completions", json=chat(messages=[{"role": "user", "content": strange}]))
    assert answer.status_code == 200


def check(stack: Stack, answer: Any, sent: bytes) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert "Traceback" not in answer.text
    assert len(answer.content) < 1500
    if len(sent) > 40:
        assert sent[10:40] not in answer.content
    assert_next_is_served(stack)


def assert_next_is_served(stack: Stack) -> None:
    assert stack.request("POST", "/v1/completions", json=completion(max_tokens=1)).status_code == 200
