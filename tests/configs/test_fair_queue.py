import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from configs.fair_queue import SHARE, BatchLimits, Entry, FairQueue

Queue = FairQueue[str, int]


def queue(size: int = 100, items: int = 50, padding: int = 10) -> Queue:
    return Queue(BatchLimits(size=size, items=items, padding=padding))


def put(waiting: Queue, owner: str, *sizes: int) -> list[Entry[str, int]]:
    return waiting.put(owner, list(sizes), sizes, 0.0)


def batches(waiting: Queue) -> Iterator[list[Entry[str, int]]]:
    while batch := waiting.take():
        yield batch


def test_an_empty_queue_gives_nothing() -> None:
    assert queue().take() == []


def test_the_oldest_decides_and_its_neighbours_in_size_fill_the_batch() -> None:
    waiting = queue()
    for size in (20, 90, 21, 19, 5, 22):
        put(waiting, f"caller of {size}", size)
    assert [[entry.size for entry in batch] for batch in batches(waiting)] == [[20, 21, 19, 22], [90], [5]]


def test_what_is_longer_than_a_batch_goes_alone() -> None:
    waiting = queue(size=100)
    put(waiting, "long", 400, 400)
    assert [len(batch) for batch in batches(waiting)] == [1, 1]


def test_a_newcomer_passes_a_long_list() -> None:
    waiting = queue(size=40)
    put(waiting, "bulk", *[20] * 100)
    assert {entry.owner for entry in waiting.take()} == {"bulk"}
    put(waiting, "newcomer", 20)
    assert waiting.take()[0].owner == "newcomer"


def test_a_flood_of_newcomers_leaves_a_long_list_its_share() -> None:
    waiting = queue(size=20)
    put(waiting, "bulk", *[20] * 30)
    served = 0
    for _ in range(160):
        put(waiting, "newcomer", 20)
        served += waiting.take()[0].owner == "bulk"
    assert served >= 160 // (SHARE + 1)


def test_a_long_text_is_not_starved_by_short_ones() -> None:
    waiting = queue(size=40)
    put(waiting, "long", 40)
    for _ in range(5):
        put(waiting, "short", 3)
    assert waiting.take()[0].owner == "long"


def test_dropped_entries_are_never_handed_out() -> None:
    waiting = queue()
    gone, kept = put(waiting, "gone", 10, 10, 10), put(waiting, "kept", 10)
    assert waiting.drop(gone) == 3
    assert waiting.drop(gone) == 0
    assert (waiting.size, waiting.count) == (10, 1)
    assert waiting.take() == kept
    assert waiting.take() == []


def test_dropped_items_are_let_go_although_their_turn_is_far() -> None:
    waiting = queue()
    put(waiting, "kept", 10)
    for _ in range(5):
        waiting.drop(put(waiting, "gone", *[10] * 2000))
    assert len(waiting._by_date) <= 2000 + 1024 + 3
    assert [entry.owner for batch in batches(waiting) for entry in batch] == ["kept"]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(10, 200), st.integers(1, 20), st.integers(0, 60))
def test_every_entry_comes_once_and_every_batch_keeps_the_limits(
    choose: random.Random, size: int, items: int, padding: int
) -> None:
    waiting = queue(size, items, padding)
    entries: list[Entry[str, int]] = []
    left: set[int] = set()
    seen: list[int] = []
    for _ in range(60):
        deed = choose.choice(("put", "put", "drop", "take"))
        if deed == "put":
            sizes = [choose.randint(1, 120) for _ in range(choose.randint(1, 6))]
            names = range(len(entries), len(entries) + len(sizes))
            entries += waiting.put("owner", list(names), sizes, 0.0)
            left.update(names)
        elif deed == "take":
            batch = waiting.take()
            assert_within(waiting, batch)
            seen += (entry.item for entry in batch)
            left.difference_update(seen)
        elif left:
            victim = choose.choice(sorted(left))
            assert waiting.drop([entries[victim]]) == 1
            left.remove(victim)
        assert (waiting.count, waiting.size) == (len(left), sum(entries[name].size for name in left))
    rest = [entry.item for batch in batches(waiting) for entry in batch]
    assert sorted(rest) == sorted(left)
    assert len(seen) == len(set(seen))
    assert not set(rest) & set(seen)


def assert_within(waiting: Queue, batch: list[Entry[str, int]]) -> None:
    sizes = [entry.size for entry in batch]
    assert not sizes or waiting._limits.admits(len(sizes), max(sizes), sum(sizes))
