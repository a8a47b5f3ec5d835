"""One HTTP answer, counted from its bytes as they arrive.

Nothing is parsed before the end: events are found by their first bytes, so that a client costs little beside the server
it measures. It knows HTTP/1.1 and OpenAI's events, and no socket.
"""

import re

EVENT = b"data: {"
DONE = b"data: [DONE]"
ERROR_EVENT = b'data: {"error"'
CONTENT = re.compile(rb'"(?:content|text|reasoning|reasoning_content|name|arguments)": ?"[^"]')
USAGE = re.compile(rb'"completion_tokens": ?(\d+)')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
CHUNK_EDGE = re.compile(rb"\r\n[0-9a-fA-F]+\r\n")
LAST_CHUNK = b"\r\n0\r\n\r\n"
TAIL_BYTES = 2048


class Answer:
    """What was seen of one answer; times are the caller's clock, in seconds."""

    __slots__ = ("_edge", "_held", "_left", "_tail", "content_at", "events", "events_at", "over", "status")

    def __init__(self) -> None:
        self.status = 0
        self.events = 0
        self.events_at: list[float] = []
        self.content_at: float | None = None
        self.over = False
        self._held = b""
        self._edge = b""
        self._tail = b"\r\n"
        self._left: int | None = None

    def feed(self, data: bytes, now: float) -> bool:
        """Take what arrived at `now`; true when the answer is complete."""
        if not self.status:
            self._held += data
            head, gap, data = self._held.partition(b"\r\n\r\n")
            if not gap:
                return False
            self._held = b""
            self._read_head(head)
        self._count(data, now)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if self._left is None:
            self.over = self._tail.endswith(LAST_CHUNK)
        else:
            self._left -= len(data)
            self.over = self._left <= 0
        return self.over

    def completion_tokens(self) -> int | None:
        """What the last usage object said."""
        found = USAGE.findall(self._end())
        return int(found[-1]) if found else None

    def fault(self, tokens: int | None = None) -> str:
        """What is wrong with a stream that ended, by kind, or nothing; `tokens` is the usage it must report."""
        end, counted = self._end(), self.completion_tokens()
        if self.status != 200:
            return f"status {self.status}"
        if ERROR_EVENT in end:
            return "error event"
        if DONE not in end:
            return "no [DONE]"
        if counted is None:
            return "no usage"
        return "wrong usage" if tokens is not None and counted != tokens else ""

    def _read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        length = LENGTH.search(head)
        self._left = None if CHUNKED.search(head) else int(length[1]) if length else 0

    def _count(self, data: bytes, now: float) -> None:
        seen = self._edge + data
        self._edge = seen[-(len(EVENT) - 1) :]
        count = seen.count(EVENT)
        if count:
            self.events += count
            self.events_at.append(now)
        if self.content_at is None:
            self._held += data
            if CONTENT.search(self._held):
                self.content_at, self._held = now, b""

    def _end(self) -> bytes:
        return CHUNK_EDGE.sub(b"", self._tail)
