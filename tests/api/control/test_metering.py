"""What a replica tells Prometheus, from real stores."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.shelves import Replica, Shelf, about, near, vector


def told(replica: Replica) -> dict[str, float]:
    page = replica.following.meter.page().decode()
    return {each.name: each.value for family in text_string_to_metric_families(page) for each in family.samples}


async def test_it_counts_what_it_holds_and_what_it_answers(store: Shelf, replica: Replica) -> None:
    assert told(replica)["manta_search_stores"] == 0
    await store.filled(*range(5))
    await replica.found(store.id, near(1))
    await asyncio.gather(*(replica.found(store.id, near(number)) for number in range(9)))
    now = told(replica)
    assert (now["manta_search_stores"], now["manta_search_chunks"]) == (1, 5)
    assert now["manta_search_bytes"] == replica.following.stats()[store.id]["bytes"]
    assert now["manta_search_batch_questions_sum"] == 10
    assert 2 <= now["manta_search_batch_questions_count"] <= 10


async def test_it_says_how_old_a_change_was_when_it_was_applied(store: Shelf, replica: Replica) -> None:
    await store.filled(1)
    await replica.found(store.id, near(1))
    assert told(replica)["manta_search_applied_seconds_count"] == 0  # reading a store is not following it
    seq = await store.chunks(await store.file(), ["new"], [vector(50)])
    await replica.found(store.id, about("new"), seq)
    now = told(replica)
    assert now["manta_search_applied_seconds_count"] == 1
    assert 0 <= now["manta_search_applied_seconds_sum"] < 60
