import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.context import Context
from api.gate import parse
from configs.errors import BadRequest, PayloadTooLarge
from tests.fixtures.gated import LIMITS, gated
from tests.fixtures.links import until
from tests.fixtures.servers import Reply, Served, served

LIMIT = LIMITS.max_body_bytes
DEPTH = LIMITS.max_json_depth
JSON = {"content-type": "application/json"}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n\"é", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def seen() -> list[Context]:
    return []


@pytest.fixture(scope="module")
async def front(seen: list[Context]) -> AsyncIterator[Served]:
    async with served(gated(seen.append)) as at:
        yield at


async def post(front: Served, body: bytes | Iterator[bytes], **headers: str) -> tuple[int, dict[str, Any], Any]:
    content = body if isinstance(body, bytes) else as_stream(body)
    async with front.http() as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await client.post("/echo", content=content, headers=JSON | named)
    return response.status_code, response.json(), response.headers


async def as_stream(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def text_of(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


async def raw(front: Served, head: str, body: bytes = b"") -> Reply:
    async with front.wire() as wire:
        wire.send(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return await wire.reply()


async def test_a_body_of_the_largest_size_passes(front: Served) -> None:
    assert (await post(front, text_of(LIMIT)))[:2][1]["size"] == LIMIT
    status, told, _ = await post(front, iter([text_of(LIMIT)[:500], text_of(LIMIT)[500:]]))
    assert (status, told["size"]) == (200, LIMIT)


async def test_a_body_with_one_byte_more_is_refused(front: Served) -> None:
    for body in (text_of(LIMIT + 1), iter([text_of(LIMIT + 1)[:500], text_of(LIMIT + 1)[500:]])):
        status, told, headers = await post(front, body)
        assert (status, told["error"]["code"]) == (413, "request_too_large")
        assert str(LIMIT) in told["error"]["message"]
        assert headers["connection"] == "close"


async def test_a_body_that_announces_too_much_is_refused_before_it_arrives(front: Served) -> None:
    reply = await raw(front, f"POST /echo HTTP/1.1\nHost: localhost\nContent-Length: {LIMIT + 1}")
    assert reply.status == 413


async def test_a_body_without_an_end_is_refused_at_the_limit(front: Served) -> None:
    chunk = b"400\r\n" + b"x" * 0x400 + b"\r\n"
    reply = await raw(front, "POST /echo HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked", chunk * 2)
    assert reply.status == 413


async def test_a_body_that_does_not_arrive_is_given_up(front: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.gate.BODY_TIMEOUT_S", 0.05)
    reply = await raw(front, "POST /echo HTTP/1.1\nHost: localhost\nContent-Length: 10", b"{}")
    assert reply.status == 408
    assert json.loads(reply.body)["error"]["code"] == "request_timeout"


async def test_a_client_that_leaves_with_half_a_body_is_observed(front: Served, seen: list[Context]) -> None:
    seen.clear()
    async with front.wire() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nX-Request-Id: half\r\n\r\n{}")
        await asyncio.sleep(0.05)
        await wire.drop()
        await until(lambda: bool(seen))
    assert [(each.request_id, each.route) for each in seen] == [("half", "")]


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8"])
async def test_json_is_read_by_its_type(front: Served, kind: str) -> None:
    _, told, _ = await post(front, b'{"a": [1, 2.5, null, "\xc3\xa9"]}', content_type=kind)
    assert told["json"] == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonp", "application/x-www-form-urlencoded"])
async def test_other_types_are_no_json(front: Served, kind: str) -> None:
    status, told, _ = await post(front, b'{"a": 1}', content_type=kind)
    assert (status, told["json"], told["size"]) == (200, None, 8)


NO_JSON = {
    "half": b'{"a": ',
    "trailing": b"{} {}",
    "comma": b"[1,]",
    "NaN": b'{"a": NaN}',
    "infinity": b"-Infinity",
    "above a double": b"[1e999]",
    "lone surrogate": b'{"a": "\\ud800"}',
    "reversed surrogates": b'"\\udc00\\ud800"',
    "surrogate as a key": b'{"\\udfff": 1}',
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\x80"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "raw NUL": b'"a\0b"',
    "escaped NUL": b'{"a": ["x", {"b": "a\\u0000b"}]}',
    "NUL as a key": b'{"a\\u0000": 1}',
    "NUL alone": b'"\\u0000"',
    "very deep": b"[" * 500 + b"]" * 500,
}


async def test_a_body_that_is_left_out_is_none(front: Served, seen: list[Context]) -> None:
    """SDKs say of it that it is JSON; a route that wants one refuses it."""
    status, told, _ = await post(front, b"")
    assert (status, told["size"], seen[-1].json) == (200, 0, None)


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
async def test_what_is_not_strict_json_is_refused(front: Served, body: bytes) -> None:
    status, told, _ = await post(front, body)
    assert status == (413 if body.startswith(b"[[") else 400)
    assert told["error"]["type"] == "invalid_request_error"


async def test_a_pair_of_surrogates_and_an_escaped_backslash_are_good(front: Served) -> None:
    _, told, _ = await post(front, b'["\\ud83d\\ude00", "\\\\u0000"]')
    assert told["json"] == ["😀", "\\u0000"]


async def test_a_refusal_never_repeats_the_input(front: Served) -> None:
    for body in (b'{"password" "hunter2"}', b'"hunter2\\u0000"'):
        _, told, _ = await post(front, body)
        assert "hunter2" not in json.dumps(told)


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["lists", "objects"])
def test_json_may_be_as_deep_as_the_limit(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int, inside: str = "1") -> bytes:
        return (opening * depth + inside + closing * depth).encode()

    assert parse(nested(DEPTH), DEPTH) is not None
    with pytest.raises(PayloadTooLarge, match=f"deeper than {DEPTH} levels"):
        parse(nested(DEPTH + 1), DEPTH)


@pytest.mark.parametrize("empty", ["[]", "{}"])
def test_an_empty_container_counts_as_a_level(empty: str) -> None:
    with pytest.raises(PayloadTooLarge):
        parse(("[" * DEPTH + empty + "]" * DEPTH).encode(), DEPTH)


def test_many_shallow_brackets_are_not_deep() -> None:
    assert len(parse(b"[" + b"[],{}," * 1000 + b"1]", DEPTH)) == 2001


@given(VALUES)
def test_good_json_passes_unchanged(value: Any) -> None:
    assert parse(orjson.dumps(value), 64) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_a_bad_request(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse(body, DEPTH)


@pytest.mark.parametrize("given_id", ["a", "A1.b_c-d", "9" * 128, "0af7651916cd43dd8448eb211c80319c"])
async def test_a_harmless_request_id_is_kept(front: Served, given_id: str) -> None:
    _, told, headers = await post(front, b"{}", x_request_id=given_id)
    assert told["id"] == headers["x-request-id"] == given_id
    assert told["own"] != given_id


@pytest.mark.parametrize("given_id", ["", "-a", ".", "a b", "a/b", "9" * 129, "a;b", "<b>", 'a"', "a\tb"])
async def test_another_request_id_is_replaced(front: Served, given_id: str) -> None:
    _, told, headers = await post(front, b"{}", x_request_id=given_id)
    assert told["id"] == headers["x-request-id"] == told["own"] != given_id
    assert len(told["own"]) == 32


async def test_every_answer_carries_its_id_and_how_long_it_took(front: Served) -> None:
    async with front.http() as client:
        for path, status in (("/echo", 200), ("/nowhere", 404), ("/raise/Conflict", 409), ("/raise/nothing", 500)):
            answer = await client.get(path, headers={"x-request-id": "mine"})
            assert (answer.status_code, answer.headers["x-request-id"]) == (status, "mine")
            assert int(answer.headers["openai-processing-ms"]) >= 0
        refused = await client.post("/echo", content=b"x", headers=JSON | {"x-request-id": "mine"})
        assert (refused.status_code, refused.headers["x-request-id"]) == (400, "mine")


async def test_each_request_is_observed_once(front: Served, seen: list[Context]) -> None:
    async with front.http() as client:
        seen.clear()
        await client.get("/raise/Conflict")
        await client.get("/nowhere")
        await client.post("/echo", content=b"x", headers=JSON)
    assert [(each.route, each.status) for each in seen] == [("/raise/{name}", 409), ("", 404), ("", 400)]


async def test_two_requests_never_share_an_id(front: Served) -> None:
    told = [(await post(front, b"{}"))[1]["own"] for _ in range(10)]
    assert len(set(told)) == 10


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:9", "10.0.0.7"])
async def test_our_own_names_and_addresses_are_answered(front: Served, host: str) -> None:
    assert (await raw(front, f"GET /echo HTTP/1.1\nHost: {host}")).status == 200


@pytest.mark.parametrize("host", ["a.example.com", "localhost.example.com", "127.0.0.1.example.com", "localhost@x"])
async def test_foreign_names_are_refused(front: Served, host: str) -> None:
    reply = await raw(front, f"GET /echo HTTP/1.1\nHost: {host}")
    assert reply.status == 400
    assert "allowed_hosts" in reply.body.decode()


async def test_a_path_with_nul_is_refused(front: Served) -> None:
    assert (await raw(front, "GET /raise/%00 HTTP/1.1\nHost: localhost")).status == 400
