import os

import pytest

from bench import processes


@pytest.mark.parametrize(
    ("command_line", "role"),
    [
        ("ray::ServeReplica:ingress:ingress", "ingress"),
        ("ray::ServeReplica:control:control", "control"),
        ("ray::ServeReplica:model-starter:replica", "replica starter"),
        ("ray::ServeReplica:model-all-MiniLM-L6-v2:replica.lease", "replica all-MiniLM-L6-v2"),
        ("ray::ServeController.listen_for_change", "serve controller"),
        ("ray::IDLE", "ray workers"),
        ("ray::IngestWorker.run", "ingest"),
        ("/usr/bin/python -P -m retrieval.reader 7", "reader"),
        ("ray::DashboardAgent", "ray agents"),
        ("VLLM::EngineCore", "engine core"),
        ("VLLM::Worker", "engine worker"),
        ("python3 -P -c from multiprocessing.resource_tracker import main;main(75)", "engine helper"),
        ("python -m vllm.entrypoints.openai.api_server --model m", "vllm api server"),
        ("ray/core/src/ray/gcs/gcs_server --log_dir=x", "gcs"),
        ("ray/core/src/ray/raylet/raylet --raylet_socket_name=x", "raylet"),
        ("postgres: manta-1: manta_app manta [local] idle", "postgres"),
        ("bin/valkey-server unixsocket:/run/x/valkey.sock", "valkey"),
        ("bin/python bin/manta serve --port 8000", "launcher"),
        ("sleep 5", "other"),
    ],
)
def test_role(command_line: str, role: str) -> None:
    assert processes.role(command_line) == role


def test_a_process_is_in_its_own_tree_and_its_parents() -> None:
    assert processes.tree([os.getpid()])[0] == os.getpid()
    assert os.getpid() in processes.tree([os.getppid()])


def test_the_meter_counts_what_this_process_uses() -> None:
    meter = processes.Meter([os.getpid()])
    spent = processes.cpu_s(os.getpid())
    while processes.cpu_s(os.getpid()) < spent + 0.05:
        pass
    assert meter.read().total_s > 0.04


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert processes.cpu_s(2**22 + 1) == 0.0
    assert processes.command_line(2**22 + 1) == ""


def test_memory_by_role() -> None:
    (size,) = processes.memory_mb([os.getpid()]).values()
    assert size > 1


def test_some_roles_of_a_usage() -> None:
    usage = processes.Usage({"ingress": 1.0, "control": 0.5}, 2.0)
    assert (usage.of("ingress", "none"), usage.total_s) == (1.0, 1.5)
