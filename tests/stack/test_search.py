"""The search deployment, called by handle from a driver of its own, and killed."""

import json
import subprocess
import sys

import pytest

from configs import switches
from configs.datadir import Layout
from configs.settings import Settings
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack

DRIVER = """
import asyncio, json, os, signal, sys
import numpy as np, ray
from ray.serve.handle import DeploymentHandle

ray.init(address=sys.argv[1], namespace="manta", log_to_driver=False, logging_level="ERROR")
vectors = np.random.default_rng(0).normal(size=(500, 16)).astype("f4")

async def retried(ask):
    while True:
        try:
            return await ask()
        except ray.exceptions.ActorDiedError:
            await asyncio.sleep(0.2)

async def main():
    search = DeploymentHandle("search", "search")
    await search.create.remote("papers", 16)
    await search.add.remote("papers", np.arange(500), vectors)
    await search.delete.remote("papers", [3])
    found, _ = await search.search.remote("papers", vectors[:5], 1)
    os.kill(int(sys.argv[2]), signal.SIGKILL)
    again, _ = await retried(lambda: search.search.remote("papers", vectors[:5], 1))
    try:
        await search.search.remote("papers", vectors[:, :3], 1)
        refused = ""
    except Exception as error:
        refused = str(error)
    stats = await search.stats.remote()
    print(json.dumps({
        "found": found[:, 0].tolist(), "again": again[:, 0].tolist(), "refused": refused,
        "size": stats["stores"]["papers"]["size"],
    }))

asyncio.run(asyncio.wait_for(main(), 90))
"""


def test_changes_survive_a_killed_replica(stack: Stack) -> None:
    (raylet,) = stack.processes("raylet")
    address = next(part.partition("=")[2] for part in raylet.cmdline() if part.startswith("--gcs-address="))
    (replica,) = stack.processes("search")
    environment = switches.environment(Layout(stack.data_dir), Settings())
    run = subprocess.run(
        [sys.executable, "-c", DRIVER, address, str(replica.pid)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["found"][:3] == [0, 1, 2]
    assert told["found"][3] != 3
    assert told["again"] == told["found"]
    assert "16" in told["refused"]
    assert told["size"] == 499


def test_its_process_holds_no_torch(stack: Stack) -> None:
    (replica,) = stack.processes("search")
    libraries = {mapping.path for mapping in replica.memory_maps()}
    assert any("faiss" in path for path in libraries)
    assert not any("libtorch" in path for path in libraries)
