"""The applications that `rayservice.yaml` names; on one machine `api.launcher.head` deploys the same, and search.

Models are not among them: `control` deploys each as an application of its own, and KubeRay leaves alone what it did
not deploy.
"""

from ray.serve import Application

from api.control.control import control_app
from api.ingress import ingress_app
from configs.cluster import Cluster


def control(_: dict[str, str]) -> Application:
    """The reconciler."""
    return control_app()


def ingress(_: dict[str, str]) -> Application:
    """The front door, on port 8000 of the pods where a replica runs.

    Raises:
        ConfigurationError: MANTA_CLUSTER names no readable cluster file.
    """
    return ingress_app(Cluster.from_environment())
