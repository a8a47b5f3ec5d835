"""Raise a Ray head and put Manta's applications on it; run as a process of its own that ends when that is done.

Ray is started through its `Node` class and not by `ray start`, which resolves loopback to an outer address, and which
starts a dashboard, an autoscaler and a client server that nobody here uses (docs/decisions/0005). What it started goes
on without this process; the launcher learns the pids from the lines printed here, one JSON object each.
"""

import os
import sys
from pathlib import Path
from typing import Any

import orjson
import ray
from ray import serve
from ray._private.node import Node
from ray._private.parameter import RayParams

from api.control.control import control_app
from api.ingress import APP as INGRESS_APP
from api.ingress import ingress_app
from configs.cluster import Cluster
from configs.datadir import Layout
from retrieval import shelf
from serving.names import CONTROL_APP
from serving.reconciler import Reconciler
from serving.search import search_targets

LOOPBACK = "127.0.0.1"
NAMESPACE = "manta"
CPU_TICKETS = 1000
"""Ray's CPUs are tickets here: replicas ask for fractions, and memory is what limits."""
OBJECT_STORE_BYTES = 128 * 2**20


class Head(Node):
    """Ray's head node without the dashboard's server."""

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        """Ray: start the dashboard. Nothing here reads it, and it weighs 120 MB."""
        self._webui_url = ""


def main() -> None:
    """Raise the head, deploy, tell, end."""
    cluster = Cluster.from_environment()
    node = start_node(Path(sys.argv[1]))
    tell("ray", pids=pids_of(node), gcs_port=int(node.gcs_address.rpartition(":")[2]))
    ray.init(address=node.address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
    serve.start(proxy_location="Disabled")
    tell("serve")
    deploy(cluster)
    tell("deployed")
    sys.stdout.flush()
    os._exit(0)  # Ray's exit hooks would take the node along


def start_node(temp_dir: Path) -> Node:
    """Start GCS and raylet on loopback."""
    parameters = RayParams(
        node_ip_address=LOOPBACK,
        num_cpus=CPU_TICKETS,
        include_dashboard=False,
        include_log_monitor=False,
        no_monitor=True,
        object_store_memory=OBJECT_STORE_BYTES,
        temp_dir=str(temp_dir),
    )
    return Head(parameters, head=True, shutdown_at_exit=False, spawn_reaper=False)


def pids_of(node: Node) -> dict[str, int]:
    """The processes that Ray started, by Ray's names for them."""
    return {name: processes[0].process.pid for name, processes in node.all_processes.items()}


def deploy(cluster: Cluster) -> None:
    """Run all applications at once; nobody waits for another."""
    models = cluster.configuration.model_list
    Reconciler().reconcile(models)
    targets = [
        serve.RunTarget(ingress_app(cluster), name=INGRESS_APP, route_prefix=None),
        serve.RunTarget(control_app(), name=CONTROL_APP, route_prefix=None),
        *search(cluster),
    ]
    serve.run_many(targets, wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)


def search(cluster: Cluster) -> list[serve.RunTarget]:
    """What searches; where nothing does, snapshots of before go, as nobody would look at them any more."""
    if cluster.configuration.search.enabled:
        return search_targets(cluster)
    shelf.empty(Layout(cluster.data_dir).search)
    return []


def tell(phase: str, **details: Any) -> None:  # noqa: ANN401  any JSON
    """One line for the launcher."""
    sys.stdout.buffer.write(orjson.dumps({"phase": phase, **details}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
