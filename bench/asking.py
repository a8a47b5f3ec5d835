"""A client that keeps its connection and asks one thing after the other: JSON, or a file in a form.

It costs little beside the server that it measures. An answer that is no success ends the bench.
"""

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench.load import Server

JSON = "application/json"
BOUNDARY = "manta-bench-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
FIELD = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
FILE = '--{}\r\ncontent-disposition: form-data; name="file"; filename="{}"\r\n\r\n'
TIMEOUT_S = 120.0
READ_S = 300.0
MOST_REFUSED = 100
"""More end a bench that goes by the clock."""
IDLE_S = 2.0
"""A connection that rested so long may have been closed at the other end."""


class Asking:
    """One connection; one thread uses it."""

    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        self._base = parts.path
        self._headers = {"authorization": f"Bearer {server.key}"}
        self._used_at = 0.0
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)

    def get(self, path: str) -> Any:  # noqa: ANN401  any JSON
        """What stands below `/v1`."""
        return orjson.loads(self._answer("GET", path, b"", JSON))

    def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401  any JSON
        """The answer to a JSON body."""
        return orjson.loads(self.send(path, orjson.dumps(body)))

    def delete(self, path: str) -> Any:  # noqa: ANN401  any JSON
        """What is left to say."""
        return orjson.loads(self._answer("DELETE", path, b"", JSON))

    def send(self, path: str, body: bytes, content_type: str = JSON) -> bytes:
        """The answer's bytes."""
        return self._answer("POST", path, body, content_type)

    def upload(self, name: str, content: bytes) -> str:
        """The id of a new file."""
        head, end = FIELD + FILE.format(BOUNDARY, name), f"\r\n--{BOUNDARY}--\r\n"
        return str(orjson.loads(self.send("/files", head.encode() + content + end.encode(), FORM))["id"])

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _answer(self, method: str, path: str, body: bytes, content_type: str) -> bytes:
        headers = self._headers | {"content-type": content_type}
        if time.monotonic() - self._used_at > IDLE_S:
            self._connection.close()  # it opens again by itself
        self._connection.request(method, self._base + path, body or None, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        self._used_at = time.monotonic()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
        return content


def until_read(asking: Asking, path: str, body: dict[str, Any]) -> None:
    """Search until a replica has read the store: before that it may be 503.

    Raises:
        RuntimeError: that takes too long, or the search fails otherwise.
    """
    deadline = time.monotonic() + READ_S
    while True:
        try:
            asking.post(path, body)
        except RuntimeError as error:
            if f": {int(http.client.SERVICE_UNAVAILABLE)} " not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


@dataclass(frozen=True, slots=True)
class Answered:
    """Seconds of each answer, from the first question to the last answer, and how many were no success."""

    times_s: list[float]
    wall_s: float
    refused: int = 0

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return len(self.times_s) / self.wall_s


def in_turn(server: Server, ask: Callable[[Asking, int], object], clients: int, turns: Sequence[int]) -> Answered:
    """Each client takes the next turn when its last one is answered, until there are none. A failure is raised."""
    waiting = iter(turns)
    return _asked(server, ask, clients, lambda: next(waiting, None), 0)


def for_seconds(server: Server, ask: Callable[[Asking, int], object], clients: int, seconds: float) -> Answered:
    """The same, with turns without end, until the time is over; what is refused is counted, up to MOST_REFUSED."""
    waiting, end = iter(range(2**62)), time.perf_counter() + seconds
    return _asked(server, ask, clients, lambda: next(waiting) if time.perf_counter() < end else None, MOST_REFUSED)


def _asked(
    server: Server, ask: Callable[[Asking, int], object], clients: int, following: Callable[[], int | None], most: int
) -> Answered:
    times, failures, lock = list[float](), list[Exception](), threading.Lock()

    def client() -> None:
        asking = Asking(server)
        try:
            while len(failures) <= most:
                with lock:
                    turn = following()
                if turn is None:
                    return
                start = time.perf_counter()
                try:
                    ask(asking, turn)
                except (RuntimeError, OSError, http.client.HTTPException) as error:
                    failures.append(error)
                else:
                    times.append(time.perf_counter() - start)
        finally:
            asking.close()

    begin = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(failures) > most:
        raise RuntimeError(f"a client failed: {failures[0]}") from failures[0]
    return Answered(times, time.perf_counter() - begin, len(failures))
