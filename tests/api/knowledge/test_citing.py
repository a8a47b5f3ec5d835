"""What is put to answers, whole and streamed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from agent.sources import sources_of
from api.knowledge.citing import READ_BYTES, CitedStream, CitedWhole, Findings
from tests.agent.passages import Found

TEXT = "Everybody has 30 days of leave. Sick days do not count."
SAYS = "Thirty days of leave [1]. Nobody knows [7]."


@dataclass(frozen=True, slots=True)
class Scored(Found):
    """As a search finds it."""

    score: float = 0.7
    attributes: Mapping[str, float] = field(default_factory=lambda: {"y": 1.0})

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def passage(text: str = TEXT, file_id: str = "file-1", chunk_id: int = 4) -> Scored:
    return Scored(text, 100, file_id, chunk_id=chunk_id, page=3)


FOUND = [passage(), passage("Parking is free.", "file-2", 9)]
FINDINGS = Findings(["leave?"], FOUND, sources_of(FOUND[:1]))


class Screen:
    """A client that keeps what it was shown."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.shown: list[bytes] = []

    def begin(self, content_type: str) -> None:
        self.began.append(content_type)

    def write(self, chunk: bytes) -> None:
        self.shown.append(chunk)


def event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": [choice]}
    return b"data: " + orjson.dumps(body) + b"\n\n"


async def streamed(chunks: Sequence[bytes], *, usage_wanted: bool = False) -> list[bytes]:
    cited, screen = CitedStream(FINDINGS, usage_wanted=usage_wanted), Screen()
    client = cited.around(screen)
    client.begin("text/event-stream")
    for chunk in chunks:
        client.write(chunk)
    await cited.end()
    assert screen.began == ["text/event-stream"]
    return screen.shown


def annotations(shown: bytes) -> list[dict[str, object]]:
    body, done = shown.removeprefix(b"data: ").split(b"\n\n", 1)
    assert done == b"data: [DONE]\n\n"
    found: list[dict[str, object]] = orjson.loads(body)["choices"][0]["delta"]["annotations"]
    return found


WANTED = {
    "type": "file_citation",
    "index": 21,
    "file_id": "file-1",
    "filename": "handbook.pdf",
    "start_index": 21,
    "end_index": 24,
    "number": 1,
    "vector_store_id": "vs_1",
    "chunk_id": 4,
    "page": 3,
    "quote": "Everybody has 30 days of leave.",
    "quote_start": 100,
    "quote_end": 131,
}


@pytest.mark.parametrize("together", [True, False])
async def test_a_stream_passes_unchanged_and_its_citations_come_before_its_end(together: bool) -> None:
    events = [event(SAYS[start : start + 2]) for start in range(0, len(SAYS), 2)]
    last = [events[-1] + b"data: [DONE]\n\n"] if together else [events[-1], b"data: [DONE]\n\n"]
    shown = await streamed([*events[:-1], *last])
    assert shown[:-1] == events
    assert annotations(shown[-1]) == [WANTED]
    told = orjson.loads(shown[-1].removeprefix(b"data: ").split(b"\n\n")[0])
    assert (told["id"], told["created"], told["model"]) == ("chatcmpl-1", 5, "m")
    assert [(each["file_id"], each["number"]) for each in told["file_search"]["results"]] == [
        ("file-1", 1), ("file-2", None),
    ]  # fmt: skip
    assert "usage" not in told


async def test_a_long_stream_is_read_on_the_way() -> None:
    filler = event("x" * 1000)
    shown = await streamed([*[filler] * (2 * READ_BYTES // len(filler)), event("[1]") + b"data: [DONE]\n\n"])
    (found,) = annotations(shown[-1])
    assert found["start_index"] == 1000 * (2 * READ_BYTES // len(filler))


USAGE = b'data: {"id":"i","object":"o","created":1,"model":"m","choices":[],"usage":{"total_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "chunks",
    [[b": ping\n\n", event(SAYS) + USAGE + DONE], [b": ping\n\n", event(SAYS), USAGE, DONE]],
    ids=["together", "apart"],
)
async def test_the_usage_is_the_last_event(chunks: list[bytes]) -> None:
    *before, last = await streamed(chunks, usage_wanted=True)
    assert before == [b": ping\n\n", event(SAYS)]
    cited, rest = last.split(b"\n\n", 1)
    told = orjson.loads(cited.removeprefix(b"data: "))
    assert (told["choices"][0]["delta"]["annotations"], told["usage"]) == ([WANTED], None)
    assert rest == USAGE + DONE


async def test_an_event_without_a_choice_on_the_way_keeps_its_place() -> None:
    says = event('"choices":[] ' + SAYS)
    shown = await streamed([USAGE, says, says + DONE], usage_wanted=True)
    assert b"".join(shown[:-1]) == USAGE + says + says


async def test_a_whole_answer_is_held_until_it_is_cited() -> None:
    message = {"role": "assistant", "content": SAYS, "refusal": None}
    body = orjson.dumps({"id": "a", "choices": [{"index": 0, "message": message}], "usage": {"total_tokens": 3}})
    cited, screen = CitedWhole(FINDINGS), Screen()
    client = cited.around(screen)
    client.begin("application/json")
    client.write(body[:10])
    client.write(body[10:])
    assert screen.shown == []
    await cited.end()
    answer = orjson.loads(b"".join(screen.shown))
    assert answer["choices"][0]["message"] == {**message, "annotations": [WANTED]}
    assert answer["usage"] == {"total_tokens": 3}
    assert answer["file_search"]["queries"] == ["leave?"]


async def test_an_answer_without_text_cites_nothing() -> None:
    cited, screen = CitedWhole(FINDINGS), Screen()
    cited.around(screen).write(orjson.dumps({"choices": [{"message": {"content": None}}]}))
    await cited.end()
    assert orjson.loads(screen.shown[0])["choices"][0]["message"]["annotations"] == []
