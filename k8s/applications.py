"""The applications that `rayservice.yaml` names; on one machine `api.launcher.head` deploys the same.

Models are not among them: `control` deploys each as an application of its own, and KubeRay leaves alone what it did
not deploy.
"""

from ray.serve import Application

from api.control.control import control_app
from api.ingress import ingress_app
from configs.cluster import Cluster
from configs.errors import ConfigurationError
from serving.names import search_apps
from serving.search import search_app

NO_PLACE = (
    "files.to is not set: pods have no data directory in common, and what is in theirs ends with them. Name a bucket "
    "(s3://bucket/prefix), or a folder that is mounted into every pod"
)


def control(_: dict[str, str]) -> Application:
    """The reconciler."""
    return control_app()


def ingress(_: dict[str, str]) -> Application:
    """The front door, on port 8000 of the pods where a replica runs.

    Raises:
        ConfigurationError: MANTA_CLUSTER names no readable cluster file, or it names no place for files.
    """
    cluster = Cluster.from_environment()
    if cluster.configuration.files.to is None:
        raise ConfigurationError(NO_PLACE)
    return ingress_app(cluster)


def search(arguments: dict[str, str]) -> Application:
    """Vector search, or the shard of it that `args: {shard: "0"}` names.

    Raises:
        ConfigurationError: MANTA_CLUSTER names no readable cluster file, or `search.shards` has no such shard.
    """
    cluster = Cluster.from_environment()
    shards, named = cluster.configuration.search.shards, arguments.get("shard")
    if named not in ([None, "0"] if shards == 1 else [str(number) for number in range(shards)]):
        names = ", ".join(search_apps(shards))
        msg = f"search.shards is {shards}: the manifest needs the applications {names}, each with its args (shard)"
        raise ConfigurationError(msg)
    return search_app(cluster, int(named or "0"))
