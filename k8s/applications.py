"""The applications that `rayservice.yaml` names; on one machine `api.launcher.head` deploys the same.

Models are not among them: `control` deploys each as an application of its own, and KubeRay leaves alone what it did
not deploy.
"""

from ray.serve import Application

from api.control.control import control_app
from api.ingress import ingress_app
from configs.cluster import Cluster
from serving.search import search_app


def control(_: dict[str, str]) -> Application:
    """The reconciler."""
    return control_app()


def ingress(_: dict[str, str]) -> Application:
    """The front door, on port 8000 of the pods where a replica runs.

    Raises:
        ConfigurationError: MANTA_CLUSTER names no readable cluster file.
    """
    return ingress_app(Cluster.from_environment())


def search(arguments: dict[str, str]) -> Application:
    """Vector search, or the shard of it that `args: {shard: "0"}` names.

    Raises:
        ConfigurationError: MANTA_CLUSTER names no readable cluster file.
    """
    return search_app(Cluster.from_environment(), int(arguments.get("shard", "0")))
