"""Where the bytes of files lie: in the data directory, or where `files.to` says."""

from api.storage.target import Target, open_target
from configs.cluster import Cluster
from configs.datadir import Layout


def place_of_files(cluster: Cluster) -> str:
    """The place, as `open_target` takes it."""
    return cluster.configuration.files.to or str(Layout(cluster.data_dir).files)


def file_target(cluster: Cluster) -> Target:
    """The place.

    Raises:
        ConfigurationError: `files.to` names none.
    """
    return open_target(place_of_files(cluster))
