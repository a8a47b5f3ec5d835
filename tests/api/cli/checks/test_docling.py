"""What `manta doctor` says about docling."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.cli.checks import docling
from configs.specs import Configuration
from tests.fixtures import docling_double
from tests.fixtures.reading import find_code


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_code(tmp_path, monkeypatch)


def found(**said: object) -> list[tuple[str, str]]:
    catalog: Any = SimpleNamespace(configuration=Configuration.model_validate({"ingest": {"docling": said or None}}))
    return [(each.status, each.message) for each in docling.check(catalog)]


def test_where_it_is_not_set_up_nothing_is_said() -> None:
    assert found() == []


def test_one_that_reads(tmp_path: Path) -> None:
    setting = asdict(docling_double.setting()) | {"memory_bytes": 2**30}
    assert found(**setting) == [("ok", f"{setting['python']} reads a page")]
    assert list(tmp_path.iterdir()) == []


def test_one_without_docling_or_without_models(tmp_path: Path) -> None:
    setting = asdict(docling_double.setting())
    ((status, message),) = found(**setting | {"python": docling_double.setting(tmp_path).python})
    assert (status, "`ingest.docling.python`" in message) == ("fail", True)
    ((status, message),) = found(**setting | {"artifacts_path": str(tmp_path)})
    assert (status, "docling-tools models download" in message) == ("fail", True)
