"""A second index beside the first, and the moment when it takes its place."""

from collections.abc import Sequence

import numpy as np
import pytest

from api.control.reembedding import Reembedding
from api.db import knowledge, vector_stores
from api.knowledge.store_files import Wanted
from api.knowledge.stores import Embedding
from configs.errors import BadRequest, MantaError, NotFound, Unavailable
from models.embedding.probe import kept
from retrieval.collection import Hit, Query
from retrieval.filters import parse
from retrieval.finding import Finder
from tests.fixtures.database import query
from tests.fixtures.reembedded import Life, always
from tests.fixtures.shelves import D, Shelf, near, vector


async def test_the_new_index_takes_the_place_when_it_has_everything(life: Life) -> None:
    first, second = await life.filled(1), await life.filled(2)
    await life.begin()
    assert (await life.told())["reembedding"] == {
        "embedding_model": "other",
        "status": "in_progress",
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
    }
    assert await life.job.turn() == 0
    await life.embed(first, 1)
    assert await life.job.turn() == 0
    assert (await life.index()).id == life.store.id
    assert await life.found(near(2, 1)) == [1]
    await life.embed(second, 2)
    new = await life.new()
    assert await life.job.turn() == 1
    assert (await life.index()).id == new.id
    told = await life.told()
    assert (told["id"], told["embedding_model"], told["reembedding"]) == (life.store.id, "other", None)
    assert await life.found(near(102, 1)) == [1]
    async with life.store.database.unit(life.store.scope) as unit:
        index = await life.stores.index(unit, life.store.id)
        (file,) = await life.files.told(unit, index, [await life.files.found(unit, index.id, first)])
    assert (file["vector_store_id"], file["attributes"]) == (life.store.id, {"n": 1.0})


async def test_what_was_searched_before_stays_for_a_minute(life: Life) -> None:
    file_id = await life.filled(1)
    await life.begin()
    await life.job.turn()
    await life.embed(file_id, 1)
    assert await life.job.turn() == 1
    rows = "SELECT count(*) FROM chunks WHERE vector_store_id = %s"
    await life.job.turn()
    assert query(life.postgres, rows, life.store.id) == [(1,)]
    query(
        life.postgres, "UPDATE vector_stores SET index_since = now() - interval '1 hour' WHERE id = %s", life.store.id
    )
    await life.job.turn()
    assert query(life.postgres, rows, life.store.id) == [(0,)]
    second = (await life.index()).id
    await life.begin(Embedding("third", vector(0)))
    await life.job.turn()
    await life.embed(file_id, 1)
    assert await life.job.turn() == 1
    assert query(life.postgres, "SELECT retired FROM vector_stores WHERE id = %s", second) == [(True,)]
    query(
        life.postgres, "UPDATE vector_stores SET index_since = now() - interval '1 hour' WHERE id = %s", life.store.id
    )
    await life.job.turn()
    assert query(life.postgres, "SELECT 1 FROM vector_stores WHERE id = %s", second) == []
    assert await life.found(near(101, 1)) == [0]


async def test_files_come_go_and_change_meanwhile(life: Life) -> None:
    kept, gone = await life.filled(1), await life.filled(2)
    await life.begin()
    await life.job.turn()
    await life.embed(kept, 1)
    await life.embed(gone, 2)
    late = await life.filled(3)
    async with life.store.database.unit(life.store.scope) as unit:
        index = await life.stores.index(unit, life.store.id)
        await life.files.remove(unit, index, gone)
        await life.files.describe(unit, index, kept, {"n": 9.0})
    assert await life.job.turn() == 0
    await life.embed(late, 3)
    assert await life.job.turn() == 1
    assert set(await life.found(near(1))) == {0, 2}
    assert await life.found(Query(vector(1), filter=parse({"type": "eq", "key": "n", "value": 9}))) == [0]


async def test_a_file_that_fails_keeps_the_old_index_and_is_said(life: Life) -> None:
    file_id = await life.filled(1)
    await life.begin()
    await life.job.turn()
    life.complete((await life.new()).id, file_id, "failed")
    assert await life.job.turn() == 0
    told = (await life.told())["reembedding"]
    assert isinstance(told, dict)
    assert told["status"] == "failed"
    await life.begin(Embedding("any", vector(0)))
    assert (await life.told())["reembedding"] is None
    await life.job.turn()
    assert query(life.postgres, "SELECT 1 FROM vector_stores WHERE index_of = %s", life.store.id) == []
    assert await life.found(near(1)) == [0]


async def test_one_that_failed_before_may_fail_again(life: Life) -> None:
    good, bad = await life.filled(1), await life.store.file()
    life.complete(life.store.id, bad, "failed")
    await life.begin()
    await life.job.turn()
    await life.embed(good, 1)
    life.complete((await life.new()).id, bad, "failed")
    assert await life.job.turn() == 1


async def test_an_index_is_no_store_of_its_own(life: Life) -> None:
    await life.begin()
    new = await life.new()
    async with life.store.database.unit(life.store.scope) as unit:
        with pytest.raises(NotFound):
            await life.stores.found(unit, new.id)
    await life.stores.remove(life.store.database, life.store.scope, life.store.id)
    assert query(life.postgres, "SELECT 1 FROM vector_stores WHERE id = %s", new.id) == []


async def test_who_comes_too_late_writes_nothing_into_the_old_one(life: Life) -> None:
    file_id = await life.filled(1)
    async with life.store.database.unit(life.store.scope) as unit:
        before = await life.stores.index(unit, life.store.id)
    await life.begin()
    await life.job.turn()
    await life.embed(file_id, 1)
    assert await life.job.turn() == 1
    async with life.store.jobs.unit() as unit:
        assert await knowledge.lock_store(unit, life.store.id) is None
    with pytest.raises(Unavailable):
        async with life.store.database.unit(life.store.scope) as unit:
            await life.files.add(unit, before, [Wanted(file_id, 100, 0)])


class Away:
    """Search that does not run."""

    async def find(self, store_id: str, min_seq: int, queries: object) -> list[list[Hit]]:
        raise Unavailable("search does not answer")


async def test_nothing_is_swapped_that_search_has_not_read(life: Life) -> None:
    file_id = await life.filled(1)
    await life.begin()
    await life.job.turn()
    await life.embed(file_id, 1)
    away = Reembedding(life.store.jobs, life.store.vault, Away(), always)
    assert await away.turn() == 0
    assert (await life.index()).id == life.store.id
    assert await life.job.turn() == 1


class Partly:
    """Search that cannot read one index."""

    def __init__(self, finder: Finder, index_id: str, error: MantaError) -> None:
        self.finder = finder
        self.index_id = index_id
        self.error = error

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        if store_id == self.index_id:
            raise self.error
        return await self.finder.find(store_id, min_seq, queries)


@pytest.mark.parametrize("error", [Unavailable("it does not fit"), BadRequest("a chunk has no vector")])
async def test_one_that_cannot_be_read_holds_up_no_other(life: Life, error: MantaError) -> None:
    shelf = Shelf(life.store.database, life.store.jobs, life.store.vault, life.store.scope)
    await shelf.make()
    other = Life(shelf, life.postgres, life.replica)
    lives = [life, other]
    files = [await each.filled(1) for each in lives]
    for each in lives:
        await each.begin()
    await life.job.turn()
    for each, file_id in zip(lives, files, strict=True):
        await each.embed(file_id, 1)
    finder = Partly(life.replica.following, (await life.new()).id, error)
    job = Reembedding(life.store.jobs, life.store.vault, finder, always)
    assert await job.turn() == 1
    assert [(await each.index()).embedding_model for each in lives] == ["any", "other"]
    query(life.postgres, "UPDATE vector_stores SET index_since = now() - interval '1 hour'")
    assert await job.turn() == 0
    assert query(life.postgres, "SELECT 1 FROM chunks WHERE vector_store_id = %s", shelf.id) == []
    assert await life.job.turn() == 1


async def test_many_files_are_copied_in_steps(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.control.reembedding.AT_ONCE", 2)
    files = [await life.filled(number) for number in range(5)]
    await life.begin()
    await life.job.turn()
    for number, file_id in enumerate(files):
        await life.embed(file_id, number)
    assert await life.job.turn() == 1
    assert (await life.told())["reembedding"] is None
    assert life.files_of((await life.index()).id) == dict.fromkeys(files, "completed")


async def test_batches_and_dates_stay(life: Life) -> None:
    file_id = await life.filled(1)
    query(
        life.postgres,
        "UPDATE vector_store_files SET created_at = '2026-01-02' WHERE vector_store_id = %s",
        life.store.id,
    )
    async with life.store.database.unit(life.store.scope) as unit:
        index = await life.stores.index(unit, life.store.id)
        batch = await life.files.add_batch(unit, index, [Wanted(file_id, 800, 400)])
    await life.begin()
    await life.job.turn()
    await life.embed(file_id, 1)
    assert await life.job.turn() == 1
    async with life.store.database.unit(life.store.scope) as unit:
        index = await life.stores.index(unit, life.store.id)
        row = await life.files.batch(unit, index.id, batch.id)
        told = await life.files.batch_told(unit, index, row)
        file = await life.files.found(unit, index.id, file_id)
    assert (told["file_counts"]["completed"], told["file_counts"]["total"]) == (1, 1)
    assert file.created_at.isoformat().startswith("2026-01-02")


async def test_the_model_of_the_same_name_with_other_dimensions_is_another(life: Life) -> None:
    await life.begin(Embedding("any", vector(0)))
    assert (await life.told())["reembedding"] is None
    await life.begin(Embedding("any", np.ones(D + 1, np.float32)))
    assert (await life.told())["reembedding"] is not None


async def test_the_model_of_the_same_name_that_gives_other_vectors_is_another(life: Life) -> None:
    query(
        life.postgres, "UPDATE vector_stores SET probe = %s WHERE id = %s", kept(vector(0)), life.store.id
    )  # fmt: skip
    await life.begin(Embedding("any", vector(0) * 2))
    assert (await life.told())["reembedding"] is None
    await life.begin(Embedding("any", vector(1)))
    assert (await life.told())["reembedding"] is not None
    async with life.store.database.unit(life.store.scope) as unit:
        (new,) = (await vector_stores.attempts(unit, [life.store.id])).values()
    assert new.probe == kept(vector(1))
