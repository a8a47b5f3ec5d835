"""The command against a real front with an embedding model, and `control`'s loop beside it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import ingest
from api.db import models
from api.files.place import place_of_files
from configs.specs import ModelSpec
from retrieval import reading
from tests.api.routes.conftest import fresh, knowing
from tests.fixtures.application import Application, Person
from tests.fixtures.database import query
from tests.fixtures.encoders import embedder
from tests.fixtures.indexed import MINILM, MODEL
from tests.fixtures.ingesting import ThreadRunner
from tests.fixtures.reading import find_code
from tests.fixtures.rooms import working
from tests.retrieval.parsers.samples import zipped

__all__ = ["fresh", "knowing"]

Command = Callable[..., Awaitable[Result]]


@pytest.fixture
async def person(knowing: Application, fresh: str) -> Person:
    return await knowing.register(fresh)


@pytest.fixture
def run(knowing: Application, person: Person, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("api.cli.shelving.POLL_S", 0.05)
    key = person.headers["authorization"].removeprefix("Bearer ")

    async def command(*arguments: str) -> Result:
        given = [*arguments, "--url", knowing.origin, "--key", key]
        return await asyncio.to_thread(CliRunner().invoke, ingest.app, given)

    return command


@pytest.fixture
async def indexing(
    knowing: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ThreadRunner]:
    find_code(tmp_path, monkeypatch)
    reading.shared.cache_clear()
    query(knowing.postgres, "DELETE FROM vector_stores")
    async with knowing.services.database.unit() as unit:
        await models.add(unit, ModelSpec.model_validate(MINILM))
    runner = ThreadRunner(embedder())
    services = knowing.services
    async with working(knowing.postgres, services.vault, place_of_files(services.cluster), runner):
        yield runner
    async with knowing.services.database.unit() as unit:
        await models.remove(unit, MODEL)
    reading.shared().close()
    reading.shared.cache_clear()


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("# Herons\n\nThey wade.")
    (folder / "deep" / "b.txt").write_text("Rays glide.")
    (folder / "c.txt").write_text("Cranes dance.")
    (folder / ".hidden").write_text("x")
    return folder


def told(result: Result, code: int = 0) -> dict[str, object]:
    assert result.exit_code == code, (result.output, result.exception)
    found: dict[str, object] = json.loads(result.stdout)
    return found


async def attributes(person: Person) -> dict[str, dict[str, object]]:
    """Of every file of the only store, by its address."""
    (store,) = (await person.http.get("/v1/vector_stores", headers=person.headers)).json()["data"]
    place = f"/v1/vector_stores/{store['id']}/files"
    files = (await person.http.get(place, headers=person.headers)).json()["data"]
    return {f"{place}/{each['id']}": each["attributes"] for each in files}


def held(app: Application) -> list[str]:
    """Status and number of chunks of every file."""
    rows = query(app.postgres, "SELECT status, chunk_count FROM vector_store_files ORDER BY created_at, file_id")
    return [f"{status} {count}" for status, count in rows]


async def test_a_folder_is_brought_along(knowing: Application, run: Command, indexing: object, handbook: Path) -> None:
    would = told(await run(str(handbook), "--dry-run", "--json"))
    assert (would["new"], would["dry_run"]) == (["handbook/a.md", "handbook/c.txt", "handbook/deep/b.txt"], True)
    assert query(knowing.postgres, "SELECT count(*) FROM vector_stores") == [(0,)]
    first = told(await run(str(handbook), "--json"))
    assert first["store"]["name"] == "handbook"  # type: ignore[index]
    assert first["skipped"] == [{"path": "handbook/.hidden", "why": "hidden"}]
    assert held(knowing) == ["completed 1"] * 3
    again = told(await run(str(handbook), "--json"))
    assert (again["unchanged"], again["new"], again["store"]) == (3, [], first["store"])

    (handbook / "a.md").write_text("# Herons\n\nThey fish.")
    (handbook / "c.txt").unlink()
    (handbook / "d.txt").write_text("Storks clap.")
    before = {row[0] for row in query(knowing.postgres, "SELECT file_id FROM vector_store_files")}
    kept = told(await run(str(handbook), "--json"))
    assert (kept["new"], kept["changed"], kept["removed"]) == (["handbook/d.txt"], ["handbook/a.md"], [])
    assert held(knowing) == ["completed 1"] * 4
    after = {row[0] for row in query(knowing.postgres, "SELECT file_id FROM vector_store_files")}
    assert len(before - after) == 1
    cleaned = told(await run(str(handbook), "--delete", "--json"))
    assert (cleaned["removed"], cleaned["unchanged"]) == (["handbook/c.txt"], 3)
    assert held(knowing) == ["completed 1"] * 3
    assert query(knowing.postgres, "SELECT count(*) FROM chunks") == [(3,)]


async def test_a_file_that_moved_is_not_embedded_again(
    knowing: Application, person: Person, run: Command, indexing: ThreadRunner, handbook: Path
) -> None:
    told(await run(str(handbook), "--json"))
    done = len(indexing.groups)
    files = await attributes(person)
    path, c = next((path, each) for path, each in files.items() if each["path"] == "handbook/c.txt")
    given = {"attributes": {**c, "team": "birds", "year": 2026, "public": True}}
    assert (await person.http.post(path, json=given, headers=person.headers)).status_code == 200
    (handbook / "birds").mkdir()
    (handbook / "c.txt").rename(handbook / "birds" / "c.txt")
    would = told(await run(str(handbook), "--delete", "--dry-run", "--json"))
    assert (would["moved"], would["new"], would["removed"]) == (["handbook/birds/c.txt"], [], [])
    moved = told(await run(str(handbook), "--delete", "--json"))
    assert (moved["moved"], moved["new"], moved["removed"]) == (["handbook/birds/c.txt"], [], [])
    assert (await attributes(person))[path] == {**given["attributes"], "path": "handbook/birds/c.txt"}
    again = told(await run(str(handbook), "--delete", "--json"))
    assert (again["unchanged"], again["moved"], again["removed"]) == (3, [], [])
    assert held(knowing) == ["completed 1"] * 3
    assert len(indexing.groups) == done


async def test_a_file_that_fails_is_told_and_the_old_version_stays(
    knowing: Application, run: Command, indexing: object, handbook: Path
) -> None:
    told(await run(str(handbook), "--json"))
    (handbook / "a.md").write_text("  \n ")
    (handbook / "e.pdf").write_bytes(b"%PDF-1.4 this is none")
    failed = told(await run(str(handbook), "--json"), 1)
    assert {each["path"] for each in failed["failed"]} == {"handbook/a.md", "handbook/e.pdf"}  # type: ignore[attr-defined]
    assert sorted(held(knowing)) == ["completed 1"] * 3 + ["failed 0"] * 2
    shown = await run(str(handbook))
    assert shown.exit_code == 1
    for text in ("2 unchanged", "failed: 2", "handbook/e.pdf", "The file is empty."):
        assert text in shown.stdout, shown.stdout
    (handbook / "a.md").write_text("# Herons\n\nThey fish.")
    told(await run(str(handbook), "--json"), 1)
    assert sorted(held(knowing)) == ["completed 1"] * 3 + ["failed 0"]


async def test_what_inside_a_file_could_not_be_read_is_told(
    person: Person, run: Command, indexing: object, handbook: Path
) -> None:
    (handbook / "all.zip").write_bytes(zipped({"b.txt": "Storks clap.", "secret.pdf": b"%PDF-1.4 this is none"}))
    note = "secret.pdf: The PDF is broken. Open it in its program and save it again."
    report = told(await run(str(handbook), "--json"))
    assert report["notes"] == [{"path": "handbook/all.zip", "note": note}]
    (store,) = (await person.http.get("/v1/vector_stores", headers=person.headers)).json()["data"]
    files = (await person.http.get(f"/v1/vector_stores/{store['id']}/files", headers=person.headers)).json()["data"]
    assert {each["attributes"]["path"]: each["notes"] for each in files} == {
        "handbook/a.md": [], "handbook/c.txt": [], "handbook/deep/b.txt": [], "handbook/all.zip": [note],
    }  # fmt: skip
    (handbook / "all.zip").write_bytes(zipped({"b.txt": "Storks.", "secret.pdf": b"%PDF-1.4 this is none"}))
    assert "secret.pdf" in (await run(str(handbook))).stdout


async def test_files_are_handed_over_without_waiting(
    knowing: Application, run: Command, indexing: ThreadRunner, handbook: Path
) -> None:
    indexing.go_on.clear()
    shown = await run(str(handbook / "a.md"), str(handbook / "c.txt"), "--store", "birds", "--no-wait")
    assert "2 files are being indexed" in shown.stdout
    assert held(knowing) == ["in_progress 0"] * 2
    threading.Timer(0.3, indexing.go_on.set).start()
    done = told(await run(str(handbook / "a.md"), str(handbook / "c.txt"), "--store", "birds", "--json"))
    assert (done["again"], done["new"]) == (["a.md", "c.txt"], [])
    assert held(knowing) == ["completed 1"] * 2


async def test_a_store_is_taken_by_its_id_and_not_by_a_name_that_two_have(
    person: Person, run: Command, indexing: object, handbook: Path
) -> None:
    made = told(await run(str(handbook), "--store", "birds", "--embedding-model", "minilm", "--json"))
    store_id = made["store"]["id"]  # type: ignore[index]
    again = told(await run(str(handbook), "--store", store_id, "--json"))
    assert again["unchanged"] == 3
    twin = await person.http.post("/v1/vector_stores", json={"name": "birds"}, headers=person.headers)
    assert twin.status_code == 200
    twins = await run(str(handbook), "--store", "birds")
    assert "several stores are called 'birds'" in str(twins.exception)
    missing = await run(str(handbook), "--store", "vs_nowhere")
    assert missing.exit_code == 1
    assert "There is no such vector store" in str(missing.exception)


async def test_an_empty_folder_does_not_empty_the_store(
    knowing: Application, run: Command, indexing: object, handbook: Path
) -> None:
    told(await run(str(handbook), "--json"))
    for path in ("a.md", "c.txt", "deep/b.txt"):
        (handbook / path).unlink()
    refused = await run(str(handbook), "--delete")
    assert "is it the right folder" in str(refused.exception)
    assert held(knowing) == ["completed 1"] * 3


async def test_a_folder_of_the_same_name_from_elsewhere_takes_nothing_away_unasked(
    knowing: Application, person: Person, run: Command, indexing: ThreadRunner, handbook: Path, tmp_path: Path
) -> None:
    told(await run(str(handbook), "--json"))
    other = tmp_path / "other" / "handbook"
    other.mkdir(parents=True)
    (other / "a.md").write_text("# Herons\n\nThey wade.")
    (other / "c.txt").write_text("Cranes sing.")
    for source in (other, other / "c.txt"):
        told(await run(str(handbook / "c.txt"), "--store", "handbook", "--json"))
        refused = await run(str(source), "--store", "handbook", "--delete")
        assert "--replace" in str(refused.exception)
    assert held(knowing) == ["completed 1"] * 4
    done = len(indexing.groups)
    taken = told(await run(str(other), "--delete", "--replace", "--json"))
    assert (taken["moved"], taken["changed"], taken["new"]) == (["handbook/a.md"], ["handbook/c.txt"], [])
    assert (taken["replaced"], taken["removed"]) == (["handbook/c.txt"], ["handbook/deep/b.txt"])
    assert len(indexing.groups) == done + 1
    again = await run(str(other), "--delete")
    assert "2 unchanged" in again.stdout
    assert held(knowing) == ["completed 1"] * 3
