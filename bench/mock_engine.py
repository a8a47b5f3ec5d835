"""A scripted engine behind the real link, in a process of its own: `python -m bench.mock_engine PORT STEP_MS`.

It stands for vLLM, which is somebody else's, where only the path from engine to client is measured: the frames, the
encoder of plain streams and the lease-less server end are Manta's own, the tokens are words that it repeats. All
streams advance together once per step, as in an engine; with a step of 0 they advance as fast as this process can.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from types import SimpleNamespace

import orjson
import uvloop

from models.chat.stream import PlainStream
from models.wire import Call, Reply
from serving.link.server import ServerLink

SECRET = "MANTA_BENCH_SECRET"  # the name of the variable that holds it
WORDS = (" the", " sea", " was", " calm", " and", " wide", ",", " so", " they", " sailed", " on", ".")
PROMPT = tuple(range(24))


@dataclass(slots=True)
class Stream:
    """One answer on its way. It ends by `length`."""

    plain: PlainStream
    left: int

    def step(self, word: str) -> bool:
        """Push one token; true while more follow."""
        self.left -= 1
        delta = SimpleNamespace(token_ids=(1,), text=word, finish_reason=None if self.left else "length")
        self.plain.put(SimpleNamespace(outputs=(delta,), prompt_token_ids=PROMPT, num_cached_tokens=0))
        return self.left > 0


class MockEngine:
    """`models.wire.Backend` over a script; a request's `max_tokens` is how many words it gets."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._streams: list[Stream] = []
        self._wanted = asyncio.Event()
        self.on_death: Callable[[], object] | None = None

    async def start(self, report: Callable[[str], None]) -> None:
        """See `models.wire.Backend`: run the steps."""
        self._stepping = asyncio.create_task(self._run())
        report("ready")

    async def answer(self, call: Call, reply: Reply) -> None:
        """See `models.wire.Backend`."""
        body = orjson.loads(call.body)
        plain = PlainStream(reply, answer_id=call.request_id, model=body["model"], chat=True, usage_wanted=True)
        reply.head("text/event-stream")
        stream = Stream(plain, body["max_tokens"])
        reply.on_cancel(lambda: self._drop(stream))
        self._streams.append(stream)
        self._wanted.set()

    async def check(self) -> None:
        """See `models.wire.Backend`."""

    def metrics(self) -> bytes:
        """See `models.wire.Backend`."""
        return b"vllm:num_requests_running %d\n" % len(self._streams)

    async def stop(self) -> None:
        """See `models.wire.Backend`."""
        self._stepping.cancel()

    def released(self, lease: str) -> None:
        """There are no leases here."""

    def _drop(self, stream: Stream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    async def _run(self) -> None:
        for word in cycle(WORDS):
            if not self._streams:
                self._wanted.clear()
                await self._wanted.wait()
            self._streams = [stream for stream in list(self._streams) if stream.step(word)]
            await asyncio.sleep(self._step_s)


def words(count: int) -> str:
    """The text of the first words of a script."""
    return "".join(islice(cycle(WORDS), count))


async def main() -> None:
    """Serve until ended."""
    port, step_ms = int(sys.argv[1]), float(sys.argv[2])
    engine = MockEngine(step_ms / 1000)
    await engine.start(lambda _: None)
    secret = os.environ[SECRET].encode()
    server = await asyncio.get_running_loop().create_server(lambda: ServerLink(engine, secret), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
