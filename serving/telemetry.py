"""Metrics of engines, of parts of Manta and of Ray, fetched where they are made. Names and labels are kept.

A source that does not answer in time is left out.
"""

import asyncio
import logging
import re

import httpx2
import ray

from configs.errors import MantaError, Unavailable
from models.wire import Call, Usage
from serving import notes
from serving.link.client import Address
from serving.links import Links

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
SAMPLE = re.compile(rb"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (.+)$")


async def engine_pages(links: Links) -> list[bytes]:
    """The page of each replica of a model, of search and of `control`, labelled `model` or `part`, and `replica`."""
    places = await asyncio.to_thread(notes.places)
    return list(await asyncio.gather(*(_engine(links, place) for place in places)))


async def ray_pages() -> list[bytes]:
    """The page of each node's exporter."""
    nodes = [node for node in await asyncio.to_thread(ray.nodes) if node["Alive"]]
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        return list(await asyncio.gather(*(_exporter(client, node) for node in nodes)))


def labelled(page: bytes, labels: bytes) -> bytes:
    """`page` with `labels` in front of each sample's own."""

    def add(line: bytes) -> bytes:
        match = SAMPLE.match(line)
        if match is None or line.startswith(b"#"):
            return line
        own = match[3] or b""
        return b"%b{%b%b%b} %b" % (match[1], labels, b"," if own else b"", own, match[4])

    return b"\n".join(map(add, page.splitlines())) + b"\n"


def labels_of(place: notes.Place) -> bytes:
    """What tells a replica's samples from those of others."""
    return b'%b="%b",replica="%b"' % (place.label.encode(), place.model.encode(), place.replica.encode())


class _Page:
    """A sink for one page."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_head(self, content_type: str) -> None:
        pass

    def on_data(self, chunk: bytes) -> None:
        self.parts.append(chunk)

    def on_end(self, usage: Usage) -> None:
        self._finish()

    def on_fail(self, error: MantaError) -> None:
        log.info("a replica gave no metrics: %s", error.message)
        self.parts.clear()
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _engine(links: Links, place: notes.Place) -> bytes:
    page = _Page()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            link = await links.get(Address(place.host, place.port, place.tls))
            link.open(Call("/metrics", b"", ""), page)
            await page.done
    except TimeoutError:
        log.info("a replica of %s gave no metrics within %g s", place.model, TIMEOUT_S)
        return b""
    except Unavailable:
        await asyncio.to_thread(notes.forget_place, place.replica)
        return b""
    return labelled(b"".join(page.parts), labels_of(place))


async def _exporter(client: httpx2.AsyncClient, node: dict[str, object]) -> bytes:
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    try:
        return (await client.get(url)).content
    except httpx2.HTTPError as error:
        log.info("a Ray exporter gave no metrics: %s", type(error).__name__)
        return b""
