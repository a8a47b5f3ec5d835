"""The front with a real replica behind it: long reads come from there, and its death is nobody's trouble."""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator

import pytest

from api import readiness
from api.db import replica as module
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import Application, Person, application
from tests.fixtures.data_dirs import quick
from tests.fixtures.database import migrated
from tests.fixtures.replicas import Replica, replica_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedPostgres]:
    with migrated(quick()) as server:
        yield server


@pytest.fixture
def replica(primary: EmbeddedPostgres) -> Iterator[Replica]:
    with replica_of(primary) as made:
        yield made


@pytest.fixture
async def app(
    primary: EmbeddedPostgres, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Application]:
    """Patient, so that a busy machine reads from the replica too. Ray does not run."""

    async def nobody(*_: object, **__: object) -> bytes:
        raise Unavailable("Ray does not run here.")

    monkeypatch.setattr(readiness, "call", nobody)
    for name in ("CATCH_UP_S", "OPEN_S"):
        monkeypatch.setattr(module, name, 30.0)
    async with application(primary, read_url=replica.url) as made:
        yield made


def readers(replica: Replica) -> int:
    """Connections that long reads were made through."""
    ((count,),) = replica.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'manta reads'")
    return int(str(count))


async def acts(person: Person, number: int) -> str:
    answer = await person.http.post("/api/keys", json={"name": f"key {number}"}, headers=person.headers)
    return str(answer.json()["id"])


async def newest(person: Person) -> tuple[int, str]:
    answer = await person.http.get("/api/admin/audit", params={"limit": 1}, headers=person.headers)
    return answer.status_code, answer.json()["data"][0]["target"]


async def test_who_acts_and_looks_finds_the_act_before_and_after_the_replica_dies(
    app: Application, replica: Replica
) -> None:
    owner = await app.register("reader", "owner", "org_reader")
    stranger = await app.register("stranger", "owner", "org_stranger")
    await acts(stranger, 0)
    for number in range(5):
        made = await acts(owner, number)
        assert await newest(owner) == (200, made)
    assert readers(replica) >= 1
    export = await owner.http.get("/api/admin/audit/export", headers=owner.headers)
    lines = [json.loads(line) for line in export.text.splitlines()]
    assert {line["organization_id"] for line in lines} == {"org_reader"}
    assert lines[-1]["action"] == "audit.export"  # the export itself is in it
    copy = await owner.http.get("/api/auth/export", headers=owner.headers)
    assert "org_reader/api_keys.json" in zipfile.ZipFile(io.BytesIO(copy.content)).namelist()
    _, parts = await app.services.readiness.report()
    assert parts["replica"] == "ready"
    replica.kill()
    for number in range(3):
        made = await acts(owner, number)
        assert await newest(owner) == (200, made)
    _, parts = await app.services.readiness.report()
    assert (parts["postgres"], parts["replica"]) == ("ready", "unreachable")
    copy = await owner.http.get("/api/auth/export", headers=owner.headers)
    assert copy.status_code == 200
