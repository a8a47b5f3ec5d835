import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import argon2
import bcrypt
import psutil
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from api.identity import hasher as module
from api.identity.hash_worker import NICENESS, NOBODYS
from api.identity.hasher import Hasher, Verdict, prepared
from configs import respondent
from configs.errors import Overloaded, Unavailable


@pytest.fixture
async def hasher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hasher]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(module.__file__).parents[2]))
    made = Hasher()
    yield made
    made.close()


async def test_a_password_fits_its_own_hash_only(hasher: Hasher) -> None:
    stored = await hasher.hash("café")
    assert stored.startswith("$argon2id$")
    assert (await hasher.verify("cafe\u0301", stored)).ok  # the same text from another keyboard
    assert not (await hasher.verify("cafe", stored)).ok
    assert not (await hasher.verify("café", None)).ok
    assert not (await hasher.verify("café", "no hash at all")).ok


async def test_bcrypt_fits_and_is_replaced(hasher: Hasher) -> None:
    for password in ("short", "p" * 100):
        old = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
        verdict = await hasher.verify(password, old)
        assert verdict.ok
        assert verdict.new_hash is not None
        assert (await hasher.verify(password, verdict.new_hash)).ok


async def test_a_bcrypt_hash_of_a_letter_cut_in_two_fits(hasher: Hasher) -> None:
    password = "p" * 71 + "é" * 10
    old = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    verdict = await hasher.verify(password, old)
    assert verdict.new_hash is not None
    assert not (await hasher.verify("p" * 71, verdict.new_hash)).ok  # the new hash is of the whole


async def test_a_weaker_argon2_hash_is_replaced_and_one_of_today_is_kept(hasher: Hasher) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=1024).hash("right password")
    assert (await hasher.verify("wrong password", weak)).new_hash is None
    new = (await hasher.verify("right password", weak)).new_hash
    assert new is not None
    assert await hasher.verify("right password", new) == Verdict(ok=True, new_hash=None)


@pytest.mark.parametrize(
    "stored",
    ["", "$argon2id$", "$2b$12$short", "$2x$04$" + "a" * 53, "$argon2id$v=19$m=9999999999,t=1,p=1$YWFhYWFhYWE$YWFhYQ"],
)
async def test_what_is_no_hash_fits_nothing(hasher: Hasher, stored: str) -> None:
    assert await hasher.verify("a password", stored) == Verdict(ok=False, new_hash=None)
    assert (await hasher.hash("a password")).startswith("$argon2id$")


async def test_its_process_is_nice_and_comes_back(hasher: Hasher) -> None:
    await hasher.hash("one")
    process = psutil.Process(hasher.process.pid)
    assert process.nice() == NICENESS
    assert group_niceness(process.pid) in (None, NICENESS)
    process.kill()
    assert (await hasher.hash("two")).startswith("$argon2id$")


def group_niceness(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])
    except FileNotFoundError:
        return None


async def test_its_process_ends_when_nobody_asks(hasher: Hasher) -> None:
    await hasher.hash("one")
    hasher.process.end_idle()
    assert hasher.process.pid is None


async def test_who_stops_waiting_gets_no_answer_and_costs_no_process(hasher: Hasher) -> None:
    stored = await hasher.hash("right")
    before = hasher.process.pid
    for _ in range(5):
        task = asyncio.create_task(hasher.verify("right", stored))
        await asyncio.sleep(0.01)
        task.cancel()
    assert not (await hasher.verify("wrong", stored)).ok
    assert hasher.process.pid == before


async def test_a_process_that_hangs_is_waited_for_no_longer_than_allowed(
    hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hasher.hash("one")
    psutil.Process(hasher.process.pid).suspend()
    with monkeypatch.context() as patch:
        patch.setattr(module, "DEADLINE_S", 0.3)
        patch.setattr(respondent, "ANSWER_TIMEOUT_S", 0.3)
        results = await asyncio.gather(*(hasher.hash("x") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
    assert (await hasher.hash("two")).startswith("$argon2id$")


async def test_the_queue_is_bounded(hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    results = await asyncio.gather(*(hasher.hash("x") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 2


async def test_one_address_holds_no_more_than_its_share_of_the_queue(hasher: Hasher) -> None:
    flood = [asyncio.create_task(hasher.hash("x", "10.0.0.1")) for _ in range(40)]
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(hasher.hash("x", f"10.0.1.{n}")) for n in range(3)]
    assert {made[:10] for made in await asyncio.gather(*others)} == {"$argon2id$"}
    assert sum(not task.done() for task in flood) >= module.MAX_OF_ONE - 5, "others need not wait for all of the flood"
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 40 - module.MAX_OF_ONE
    assert await hasher.hash("x", "10.0.0.1")


def test_nobodys_hash_costs_what_todays_cost() -> None:
    assert not Argon2Hasher().check_needs_rehash(NOBODYS)
    assert Argon2Hasher.identify(NOBODYS)


def test_texts_are_composed() -> None:
    assert prepared("e\u0301") == "é"
    assert prepared("a\u00a0b\u3000c") == "a b c"
