"""What the head deploys, without Ray."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from api.launcher import head
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.specs import Configuration


@pytest.mark.parametrize("enabled", [True, False])
def test_where_search_is_off_no_snapshot_stays(tmp_path: Path, enabled: bool) -> None:
    cluster = Cluster(
        data_dir=tmp_path,
        database_url=SecretStr("postgresql://"),
        redis_url=SecretStr("redis://"),
        link_secret=SecretStr("secret"),
        configuration=Configuration.model_validate({"search": {"enabled": enabled}}),
    )
    snapshot = Layout(tmp_path).search / "vs_a.7.snapshot"
    snapshot.parent.mkdir()
    snapshot.write_bytes(b"sealed")
    assert bool(head.search(cluster)) == snapshot.exists() == enabled
