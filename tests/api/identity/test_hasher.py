import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import psutil
import pytest

from api.identity import hasher as module
from api.identity.hasher import Hasher, prepared
from configs.errors import Overloaded


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


async def test_its_process_is_nice_and_comes_back(hasher: Hasher) -> None:
    await hasher.hash("one")
    assert hasher._child is not None
    process = psutil.Process(hasher._child.pid)
    assert process.nice() == 19
    process.kill()
    assert (await hasher.hash("two")).startswith("$argon2id$")
    hasher._end_idle()
    assert hasher._child is None


async def test_a_cancelled_question_is_answered_to_nobody(hasher: Hasher) -> None:
    stored = await hasher.hash("right")
    task = asyncio.create_task(hasher.verify("right", stored))
    await asyncio.sleep(0.01)
    task.cancel()
    assert not (await hasher.verify("wrong", stored)).ok


async def test_the_queue_is_bounded(hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    results = await asyncio.gather(*(hasher.hash("x") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 2


def test_texts_are_composed() -> None:
    assert prepared("e\u0301") == "é"
