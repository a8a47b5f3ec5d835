"""Counting of answers from bytes, however they are cut."""

import pytest

from bench.sse import Answer

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}\n\n'
WORD = b'data: {"choices":[{"delta":{"content":"sea"}}],"usage":null}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


STREAM = HEAD + chunked(ROLE, WORD, WORD, USAGE, DONE)


@pytest.mark.parametrize("size", [1, 7, 64, len(STREAM)])
def test_events_and_usage_do_not_depend_on_how_bytes_arrive(size: int) -> None:
    answer = Answer()
    parts = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    overs = [answer.feed(part, float(index)) for index, part in enumerate(parts)]
    assert answer.status == 200
    assert answer.events == 4
    assert answer.completion_tokens() == 2
    assert answer.fault(2) == ""
    assert overs == [False] * (len(parts) - 1) + [True]


def test_first_content_is_not_the_role() -> None:
    answer = Answer()
    answer.feed(HEAD + b"%x\r\n%b\r\n" % (len(ROLE), ROLE), 1.0)
    assert (answer.events, answer.content_at) == (1, None)
    answer.feed(b"%x\r\n%b\r\n" % (len(WORD), WORD), 2.0)
    assert (answer.content_at, answer.events_at) == (2.0, [1.0, 2.0])


def test_usage_is_found_across_chunk_borders() -> None:
    answer = Answer()
    middle = USAGE.index(b'_tokens":2') + 4
    answer.feed(HEAD + chunked(WORD, USAGE[:middle], USAGE[middle:], DONE), 1.0)
    assert answer.fault(2) == ""


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (HEAD + chunked(ROLE, WORD, USAGE), "no [DONE]"),
        (HEAD + chunked(ROLE, WORD, DONE), "no usage"),
        (HEAD + chunked(WORD, USAGE, DONE), "wrong usage"),
        (HEAD + chunked(WORD, b'data: {"error":{"message":"gone"}}\n\n'), "error event"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", "status 503"),
    ],
)
def test_faults_by_kind(stream: bytes, fault: str) -> None:
    answer = Answer()
    assert answer.feed(stream, 1.0)
    assert answer.fault(1 if fault == "wrong usage" else 2) == fault


def test_a_body_with_a_length_is_over_at_its_last_byte() -> None:
    answer = Answer()
    assert not answer.feed(b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\nab", 1.0)
    assert answer.feed(b"cd", 2.0)
