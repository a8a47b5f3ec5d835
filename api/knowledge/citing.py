"""Citations put to an answer on its way: to a whole one's message, or behind the last event of a stream.

A stream's events go to the client as they come, unread; they are kept by reference and read when enough have gathered.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from agent.citations import Citation, Citing
from agent.sources import Passage, Source
from serving.exchange import Client

DONE = b"data: [DONE]\n\n"
EVENT, END_OF_EVENT = b"data: ", b"\n\n"
NO_CHOICE = re.compile(rb'"choices": ?\[ ?\]')
"""In no string: quotes in those have a backslash."""
READ_BYTES = 256 * 1024
"""So much of a stream is kept before it is read: a millisecond's work, and memory that does not grow with it."""


class Result(Passage, Protocol):
    """A passage with what a search says of it."""

    @property
    def end(self) -> int:
        """Where it ends in the document, in characters."""

    @property
    def score(self) -> float:
        """How relevant it is, from 0 to 1."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The file's, as the store has them."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was looked for, what was found, the best first, and what of it the model sees."""

    queries: Sequence[str]
    passages: Sequence[Result]
    sources: Sequence[Source] = ()

    def told(self) -> dict[str, Any]:
        """The field `file_search` of an answer; `number` is that of the source that holds a result."""
        numbers = {_key(each): source.number for source in self.sources for each in source.passages}
        return {"queries": list(self.queries), "results": [_result(each, numbers) for each in self.passages]}


def _result(passage: Result, numbers: dict[tuple[str, int | str], int]) -> dict[str, Any]:
    return {
        "file_id": passage.file_id,
        "filename": passage.filename,
        "score": passage.score,
        "attributes": dict(passage.attributes),
        "number": numbers.get(_key(passage)),
        "vector_store_id": passage.vector_store_id,
        "chunk_id": passage.chunk_id,
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
    }


def _key(passage: Passage) -> tuple[str, int | str]:
    return passage.vector_store_id, passage.chunk_id


def annotation_of(citation: Citation) -> dict[str, Any]:
    """OpenAI's `file_citation`, with what makes it checkable."""
    passage = citation.passage
    return {
        "type": "file_citation",
        "index": citation.start,
        "file_id": passage.file_id,
        "filename": passage.filename,
        "start_index": citation.start,
        "end_index": citation.end,
        "number": citation.source.number,
        "vector_store_id": passage.vector_store_id,
        "chunk_id": passage.chunk_id,
        "page": citation.page,
        "quote": citation.quote,
        "quote_start": citation.quote_start,
        "quote_end": citation.quote_end,
    }


class CitedWhole:
    """See `api.amendment.Amendment`: an answer that is held until it is whole."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._parts: list[bytes] = []
        self._client: Client | None = None

    def around(self, client: Client) -> "CitedWhole":
        """See `api.amendment.Amendment`."""
        self._client = client
        return self

    def begin(self, content_type: str) -> None:
        """See `serving.exchange.Client`."""
        assert self._client is not None
        self._client.begin(content_type)

    def write(self, chunk: bytes) -> None:
        """See `serving.exchange.Client`."""
        self._parts.append(chunk)

    async def end(self) -> None:
        """See `api.amendment.Amendment`."""
        assert self._client is not None
        self._client.write(await asyncio.to_thread(self._cited))

    def _cited(self) -> bytes:
        answer = orjson.loads(b"".join(self._parts))
        for choice in answer["choices"]:
            citing = Citing(self._findings.sources)
            citing.add(choice["message"].get("content") or "")
            choice["message"]["annotations"] = [annotation_of(each) for each in citing.citations()]
        return orjson.dumps({**answer, "file_search": self._findings.told()})


class CitedStream:
    """See `api.amendment.Amendment`: a stream that gets one more event before its end.

    What ends it is `[DONE]` and, before it, the usage: clients take the last event's, and OpenAI's own has no other.
    """

    def __init__(self, findings: Findings, *, usage_wanted: bool) -> None:
        self._findings = findings
        self._usage_wanted = usage_wanted
        self._citing = Citing(findings.sources)
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._envelope: dict[str, Any] = {}
        self._client: Client | None = None
        self._held = b""
        self._done = b""

    def around(self, client: Client) -> "CitedStream":
        """See `api.amendment.Amendment`."""
        self._client = client
        return self

    def begin(self, content_type: str) -> None:
        """See `serving.exchange.Client`."""
        assert self._client is not None
        self._client.begin(content_type)

    def write(self, chunk: bytes) -> None:
        """See `serving.exchange.Client`; chunks are whole events."""
        assert self._client is not None
        if chunk.endswith(DONE):
            chunk, self._done = chunk[: -len(DONE)], DONE
            if not chunk:
                return
        self._unread.append(chunk)
        self._unread_bytes += len(chunk)
        shown, self._held = self._parted(self._held + chunk)
        if shown:
            self._client.write(shown)
        if self._unread_bytes > READ_BYTES:
            self._read()

    async def end(self) -> None:
        """See `api.amendment.Amendment`."""
        assert self._client is not None
        self._client.write(await asyncio.to_thread(self._last) + self._held + self._done)

    def _parted(self, events: bytes) -> tuple[bytes, bytes]:
        """What goes to the client now, and the event that may be the last: that of the usage has no choice."""
        if not self._usage_wanted:
            return events, b""
        last = events.rfind(END_OF_EVENT, 0, -len(END_OF_EVENT))
        begin = 0 if last < 0 else last + len(END_OF_EVENT)
        return (events[:begin], events[begin:]) if NO_CHOICE.search(events, begin) else (events, b"")

    def _read(self) -> None:
        """Take the text out of the events that are kept."""
        events, self._unread, self._unread_bytes = b"".join(self._unread), [], 0
        for event in events.split(END_OF_EVENT):
            if not event.startswith(EVENT):
                continue
            body = orjson.loads(event[len(EVENT) :])
            self._envelope = self._envelope or {name: body[name] for name in ("id", "object", "created", "model")}
            for choice in body["choices"]:
                self._citing.add(choice["delta"].get("content") or "")

    def _last(self) -> bytes:
        self._read()
        annotations = [annotation_of(each) for each in self._citing.citations()]
        return last_event(self._envelope, annotations, self._findings, usage_wanted=self._usage_wanted)


def last_event(
    envelope: dict[str, Any], annotations: list[dict[str, Any]], findings: Findings, *, usage_wanted: bool
) -> bytes:
    """What a stream says before its usage and `[DONE]`; `envelope` is what all its events share."""
    choice = {"index": 0, "delta": {"annotations": annotations}, "logprobs": None, "finish_reason": None}
    usage = {"usage": None} if usage_wanted else {}
    return event({**envelope, "choices": [choice], **usage, "file_search": findings.told()})


def event(body: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return EVENT + orjson.dumps(body) + END_OF_EVENT
