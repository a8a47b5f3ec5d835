from pathlib import Path

import pytest

from api.cli.logs import files_by_part
from configs.datadir import Layout


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("worker-1.err", ":actor_name:IngestWorker\n{}", "ingest"),
        ("worker-1.err", ":actor_name:ServeReplica:model-starter:replica\n{}", "model:starter"),
        ("worker-1.err", ":actor_name:ServeReplica:control:control\n{}", "control"),
        ("worker-1.err", ":actor_name:ServeController\n{}", "controller"),
        ("worker-1.err", ":actor_name:Another\n{}", None),
        ("worker-1.err", "words", None),
        ("raylet.out", "words", "ray"),
    ],
)
def test_a_file_belongs_to_the_part_that_wrote_it(tmp_path: Path, name: str, content: str, part: str | None) -> None:
    layout = Layout(tmp_path)
    session = layout.ray / "session_latest" / "logs"
    session.mkdir(parents=True)
    (session / name).write_text(content)
    assert files_by_part(layout) == ({part: [session / name]} if part else {})
