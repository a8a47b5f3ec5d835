"""What happens to a store's files while its second index is on its way."""

from collections.abc import Sequence

from api.control.reembedding import Reembedding
from api.knowledge.store_files import Wanted
from retrieval.collection import Hit, Query
from tests.fixtures.reembedded import Life, always


class Late:
    """Search, while which somebody takes a file out of the store."""

    def __init__(self, life: Life, file_id: str) -> None:
        self.life = life
        self.file_id = file_id

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        async with self.life.store.database.unit(self.life.store.scope) as unit:
            index = await self.life.stores.index(unit, self.life.store.id)
            await self.life.files.remove(unit, index, self.file_id)
        return await self.life.replica.following.find(store_id, min_seq, queries)


async def test_a_file_that_is_removed_while_search_reads_does_not_come_back(life: Life) -> None:
    first, second = await life.filled(1), await life.filled(2)
    await life.begin()
    await life.job.turn()
    for number, file_id in enumerate((first, second)):
        await life.embed(file_id, number)
    late = Reembedding(life.store.jobs, life.store.vault, Late(life, first), always)
    assert await late.turn() == 0
    assert await life.job.turn() == 1
    assert life.files_of((await life.index()).id) == {second: "completed"}


async def test_cancelling_a_batch_that_is_done_leaves_the_new_index_alone(life: Life) -> None:
    file_id = await life.filled(1)
    async with life.store.database.unit(life.store.scope) as unit:
        index = await life.stores.index(unit, life.store.id)
        batch = await life.files.add_batch(unit, index, [Wanted(file_id, 800, 400)])
    await life.begin()
    await life.job.turn()
    async with life.store.database.unit(life.store.scope) as unit:
        await life.files.cancel(unit, await life.files.batch(unit, life.store.id, batch.id))
    new = await life.new()
    assert life.files_of(new.id) == {file_id: "in_progress"}
    life.complete(new.id, file_id, "cancelled")
    await life.job.turn()
    assert life.files_of(new.id) == {file_id: "in_progress"}


async def test_a_failed_file_that_is_asked_for_again_is_tried_in_the_new_index_too(life: Life) -> None:
    first, second = await life.filled(1), await life.filled(2)
    life.complete(life.store.id, second, "failed")
    await life.begin()
    await life.job.turn()
    await life.embed(first, 1)
    await life.embed(second, 2, status="failed")
    async with life.store.database.unit(life.store.scope) as unit:
        await life.files.add(unit, await life.stores.index(unit, life.store.id), [Wanted(second, 800, 400)])
    assert await life.job.turn() == 0
    new = await life.new()
    assert life.files_of(new.id) == {first: "completed", second: "in_progress"}
    life.complete(new.id, second)
    assert await life.job.turn() == 1
    assert life.files_of(new.id) == {first: "completed", second: "completed"}
