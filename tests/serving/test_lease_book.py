import asyncio

from serving.lease_book import LeaseBook
from tests.fixtures.links import TIMEOUT_S


async def test_a_lease_is_open_until_it_is_released() -> None:
    book = LeaseBook()
    first, second = book.open("first"), book.open("second")
    assert len(book) == 2
    book.release("first")
    assert (first.is_set(), second.is_set(), len(book)) == (True, False, 1)
    book.release("first")
    book.release("never opened")
    assert len(book) == 1
    book.release("second")


async def test_a_lease_that_nobody_uses_ends_by_itself() -> None:
    book = LeaseBook(unused_after_s=0.01)
    await asyncio.wait_for(book.open("unused").wait(), TIMEOUT_S)
    assert len(book) == 0


async def test_a_used_lease_stays() -> None:
    book = LeaseBook(unused_after_s=0.01)
    used, unused = book.open("used"), book.open("unused")
    book.use("used")
    await asyncio.wait_for(unused.wait(), TIMEOUT_S)
    await asyncio.sleep(0.05)
    assert (used.is_set(), len(book)) == (False, 1)
    book.use("used")
    book.use("never opened")


async def test_a_released_lease_leaves_no_timer() -> None:
    book = LeaseBook(unused_after_s=0.01)
    book.open("again")
    book.release("again")
    again = book.open("again")
    book.use("again")
    await asyncio.sleep(0.05)
    assert not again.is_set()
