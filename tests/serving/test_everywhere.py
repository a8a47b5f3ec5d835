"""Every replica of search is asked before a new index takes its place; the replicas' ends are real links."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from configs.cluster import Cluster
from configs.errors import Unavailable
from configs.specs import Configuration
from models.wire import Call, Usage
from retrieval.query import Hit, Query
from retrieval.questions import pack, pack_hits, unpack
from serving.everywhere import EveryReplica
from serving.link.client import Address
from serving.link.server import StreamReply
from serving.links import Links
from serving.notes import Place
from tests.fixtures.links import SECRET, Desk, listening

HITS = [[Hit(7, 1.0, 1.0, 0.0)]]
ASKED = [Query(terms=["heron"], k=1)]


class One:
    """The replica that is asked first."""

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        return HITS


async def ready(call: Call, reply: StreamReply) -> None:
    reply.head("application/json")
    reply.data(pack_hits([[]]))
    reply.end(Usage())


async def reading(call: Call, reply: StreamReply) -> None:
    raise Unavailable("The store is still being read.")


def place(app: str, address: Address, label: str = "part") -> Place:
    return Place(app, f"{app}:{address.port}", address.host, address.port, address.tls, label)


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(
        Cluster(
            data_dir=tmp_path,
            database_url=SecretStr("postgresql://"),
            redis_url=SecretStr("redis://"),
            link_secret=SecretStr(SECRET.decode()),
            configuration=Configuration(),
        )
    )


async def test_all_that_are_there_must_have_read_it(links: Links) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = Address(*nobody.getsockname())
        first, second, slow, other = Desk(ready), Desk(ready), Desk(reading), Desk(reading)
        async with listening(first) as a, listening(second) as b, listening(slow) as c, listening(other) as d:
            noted = [place("search-0", a), place("search-1", b), place("search-1", gone), place("search-0", d, "model")]
            finder = EveryReplica(One(), ["search-0", "search-1"], links, lambda: [*noted, place("control", d)])
            assert await finder.find("vs_a", 5, ASKED) == HITS
            assert [len(desk.calls) for desk in (first, second, other)] == [1, 1, 0]
            (call,) = second.calls
            assert (call.path, call.lease, call.body) == ("/find", "", pack("vs_a", 5, ASKED))
            assert unpack(call.body).min_seq == 5
            noted.append(place("search-0", c))
            with pytest.raises(Unavailable, match="still being read"):
                await finder.find("vs_a", 5, ASKED)
            links.close()
