"""The search application on a real Ray of its own, on loopback."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs import switches
from configs.cluster import VARIABLE, Cluster
from configs.datadir import Layout
from configs.errors import BadRequest, ConfigurationError, Conflict, NotFound, Unavailable
from configs.specs import Configuration, SearchSpec
from tests.fixtures.data_dirs import open_folder

TIMEOUT_S = 60.0
SIZE, DIMENSIONS = 2000, 32  # 256 KB, so that the arrays travel through Ray's object store, where they are read-only


def cluster_in(layout: Layout, search: SearchSpec) -> Cluster:
    return Cluster(
        data_dir=layout.data_dir,
        database_url="postgresql://localhost/unused",
        redis_url="redis://localhost/unused",
        link_secret="unused",
        configuration=Configuration(search=search),
    )


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with open_folder() as root:
        layout = Layout(root / "data")
        layout.prepare()
        yield layout.data_dir
        shutil.rmtree(layout.run_dir)


@pytest.fixture(scope="module")
def search_in_ray(data_dir: Path) -> Iterator[Path]:
    """Where search keeps its files."""
    layout = Layout(data_dir)
    cluster = cluster_in(layout, SearchSpec())
    cluster.write(layout.cluster)
    layout.secret("ray_token")
    with pytest.MonkeyPatch.context() as patch:
        for name, text in (switches.defaults({}) | switches.safety(layout)).items():
            patch.setenv(name, text)
        patch.setenv(VARIABLE, str(layout.cluster))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        import ray
        from ray import serve

        from serving.names import SEARCH_APP as APP
        from serving.search import search_app

        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(layout.ray),
        )
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # Ray's client ignores it, and then no child's status is known
        serve.start(proxy_location="Disabled")
        serve.run(search_app(cluster), name=APP, route_prefix=None)
        yield layout.search
        serve.shutdown()
        ray.shutdown()


async def ask(method: str, *arguments: Any) -> Any:
    from serving.calls import call
    from serving.names import SEARCH_APP as APP
    from serving.names import SEARCH_DEPLOYMENT as DEPLOYMENT

    return await call(APP, DEPLOYMENT, method, *arguments, timeout_s=TIMEOUT_S)


async def ask_until_it_is_back(method: str, *arguments: Any) -> Any:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await ask(method, *arguments)
            except Unavailable:
                await asyncio.sleep(0.2)


def vectors() -> Any:
    return np.random.default_rng(0).normal(size=(SIZE, DIMENSIONS)).astype(np.float32)


async def assert_finds(store: str, kept: np.ndarray[Any, Any]) -> None:
    ids, scores = await ask("search", store, vectors()[:300], 1)
    found = ids[:, 0] == np.arange(300)
    np.testing.assert_array_equal(found, kept[:300])
    np.testing.assert_allclose(scores[found, 0], 1, atol=1e-5)


async def test_vectors_go_in_and_ids_come_out(search_in_ray: Path) -> None:
    assert await ask("create", "first", DIMENSIONS, "cosine", "flat")
    assert not await ask("create", "first", DIMENSIONS)
    assert await ask("add", "first", np.arange(SIZE), vectors()) == SIZE
    assert await ask("delete", "first", [5, 6, SIZE]) == 2
    await assert_finds("first", ~np.isin(np.arange(SIZE), [5, 6]))
    stats = (await ask("stats"))["stores"]["first"]
    assert (stats["size"], stats["dimensions"], stats["metric"], stats["kind"]) == (SIZE - 2, 32, "cosine", "flat")


async def test_errors_arrive_as_they_were_raised(search_in_ray: Path) -> None:
    await ask("create", "errors", 2)
    for error, method, *arguments in (
        (NotFound, "search", "nowhere", [[1, 2]], 1),
        (BadRequest, "search", "errors", [[1, 2]], 0),
        (BadRequest, "add", "errors", [1], [[1, float("nan")]]),
        (BadRequest, "create", "../errors", 2),
        (BadRequest, "create", "other", 2, "nearest"),
        (Conflict, "create", "errors", 3),
    ):
        with pytest.raises(error) as raised:
            await ask(method, *arguments)
        assert type(raised.value) is error


async def test_the_process_is_small_and_free_of_torch(search_in_ray: Path) -> None:
    stats = await ask("stats")
    maps = await asyncio.to_thread(Path(f"/proc/{stats['pid']}/maps").read_text)
    assert "faiss" in maps
    assert "libtorch" not in maps
    assert stats["rss_bytes"] < 300 * 2**20


async def test_kill_9_loses_nothing_that_was_acknowledged(search_in_ray: Path) -> None:
    await ask("create", "killed", DIMENSIONS, "cosine", "flat")
    await ask("add", "killed", np.arange(200), vectors()[:200])
    assert await ask("snapshot", "killed")
    await ask("add", "killed", np.arange(200, SIZE), vectors()[200:])
    await ask("delete", "killed", np.arange(0, SIZE, 3))
    pid = (await ask("stats"))["pid"]
    os.kill(pid, signal.SIGKILL)
    stats = await ask_until_it_is_back("stats")
    assert stats["pid"] != pid
    await assert_finds("killed", np.arange(SIZE) % 3 != 0)
    assert stats["stores"]["killed"]["log_bytes"] > SIZE * DIMENSIONS


async def test_an_orderly_end_leaves_snapshots(search_in_ray: Path) -> None:
    """Last: it takes the application down and brings it back."""
    from ray import serve

    from serving.names import SEARCH_APP as APP
    from serving.search import search_app

    await ask("create", "ended", 2)
    await ask("add", "ended", [7], [[1, 2]])
    await asyncio.to_thread(serve.delete, APP)
    assert (search_in_ray / "ended" / "00000002.snapshot").is_file()
    cluster = Cluster.from_environment()
    await asyncio.to_thread(serve.run, search_app(cluster), name=APP, route_prefix=None)
    ids, _ = await ask("search", "ended", [[1, 2]], 2)
    assert ids.tolist() == [[7, -1]]


def test_a_second_replica_is_refused(data_dir: Path) -> None:
    """It would not see the first one's changes: each holds its index in memory (tests/retrieval/test_stores.py)."""
    from serving.search import search_app

    two = SearchSpec.model_construct(**SearchSpec().model_dump() | {"max_replicas": 2})
    with pytest.raises(ConfigurationError, match="another would not see its changes"):
        search_app(
            cluster_in(Layout(data_dir), SearchSpec()).model_copy(
                update={"configuration": Configuration.model_construct(search=two)}
            )
        )
