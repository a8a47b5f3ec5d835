"""What keeps anchors from being written is told, and tried again."""

import asyncio
import logging
from pathlib import Path

import pytest

from api.audit import anchors
from api.audit.anchoring import Anchoring
from api.audit.record import record
from api.db.session import JOBS_ROLE, Database
from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.fixtures.links import until


def anchoring_in(folder: Path, url: str) -> Anchoring:
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    return Anchoring(Database(url, role=JOBS_ROLE), folder / "anchors", folder / "secrets")


async def test_it_goes_on_after_whatever_stood_in_its_way(
    postgres: EmbeddedPostgres, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with database.unit(Scope("org_anchoring")) as unit:
        await record(unit, None, "test.x", organization_id="org_anchoring")
    made = anchoring_in(tmp_path, postgres.urls.jobs_url)
    (tmp_path / "anchors").mkdir()
    (tmp_path / "secrets").chmod(0o755)
    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(made.run(0.01))
        await until(lambda: "is open to others" in caplog.text)
        (tmp_path / "secrets").chmod(0o700)
        await until(lambda: "Is a directory" in caplog.text)
        (tmp_path / "anchors").rmdir()
        await until((tmp_path / "anchors").exists)
        task.cancel()
    await made.close()
    key = (tmp_path / "secrets" / anchors.KEY).read_text()
    assert anchors.read([tmp_path / "anchors"], key).hashes["org_anchoring"].keys() == {1}


async def test_the_last_ones_are_written_when_it_stops(
    postgres: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    async with database.unit(Scope("org_last")) as unit:
        await record(unit, None, "test.x", organization_id="org_last")
    await anchoring_in(tmp_path, postgres.urls.jobs_url).close()
    key = (tmp_path / "secrets" / anchors.KEY).read_text()
    assert "org_last" in anchors.read([tmp_path / "anchors"], key).hashes


async def test_a_database_that_is_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await anchoring_in(tmp_path, "postgresql://nobody@127.0.0.1:1/none").close()
    assert "the database is away" in caplog.text
