"""PostgreSQL on a disk that is full: 503 with `retry-after`, reading goes on, nothing acknowledged is lost."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from api.db import schema
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import Application, application
from tests.fixtures.data_dirs import held_layout
from tests.fixtures.database import query
from tests.fixtures.disks import small_disk

DISK_MIB = 160
MESSAGE = "x" * 200_000


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of its own."""
    with small_disk(DISK_MIB) as place:
        yield place


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={2 * DISK_MIB}m", str(disk)], check=True)


@pytest.fixture
async def app(disk: Path) -> AsyncIterator[Application]:
    with held_layout(disk / "data") as layout, EmbeddedPostgres(layout) as server:
        schema.upgrade(server.urls.owner_url)
        async with application(server) as made:
            yield made


async def test_a_full_disk_costs_nothing_that_was_acknowledged(app: Application, disk: Path) -> None:
    person = await app.register("full")
    made = await person.http.post("/api/conversations", json={"title": "t"}, headers=person.headers)
    path = f"/api/conversations/{made.json()['id']}/messages"
    acknowledged: list[str] = []
    for number in range(1000):
        body = {"role": "user", "content": f"{number} {MESSAGE}"}
        answer = await person.http.post(path, json=body, headers=person.headers)
        if answer.status_code != 201:
            break
        acknowledged.append(answer.json()["id"])
    assert acknowledged
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
    assert answer.json()["error"]["type"] == "service_unavailable_error"
    enlarge(disk)
    if not app.postgres.ready():  # its log had no room, which ends it; a launcher starts it again
        app.postgres.start()
        app.postgres.wait_ready()
    again = await person.http.post(path, json={"role": "user", "content": "after"}, headers=person.headers)
    assert again.status_code == 201, again.text
    kept = {row_id for (row_id,) in query(app.postgres, "SELECT id FROM messages")}
    assert {*acknowledged, again.json()["id"]} <= kept
    page = (await person.http.get(f"{path}?limit=1&after={acknowledged[-2]}", headers=person.headers)).json()["data"]
    assert page[0]["id"] == acknowledged[-1]
    assert MESSAGE in page[0]["content"]
