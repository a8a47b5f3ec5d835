from api.db import vector_stores
from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query
from tests.fixtures.knowledge import add_store


async def test_a_store_that_is_being_removed_is_not_brought_back_by_who_used_it(
    postgres: EmbeddedPostgres, jobs: Database
) -> None:
    add_store(postgres, "vs_a")
    add_store(postgres, "vs_b")
    query(postgres, "UPDATE vector_stores SET last_active_at = now() - interval '1 hour', expires_after_days = 1")
    async with jobs.unit() as unit:
        await vector_stores.end_now(unit, "vs_a")
    async with jobs.unit() as unit:
        await vector_stores.touch(unit, ["vs_a", "vs_b"])
        assert await vector_stores.expired(unit, 10) == ["vs_a"]
    told = "SELECT id FROM vector_stores WHERE last_active_at > now() - interval '1 minute'"
    assert query(postgres, told) == [("vs_b",)]
