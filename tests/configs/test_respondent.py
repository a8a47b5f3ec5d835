"""With a real child (`tests.fixtures.answering`), which answers [question, its pid]."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from configs import respondent
from configs.errors import Unavailable
from configs.respondent import Respondent
from tests.fixtures.links import until

CHILD = "tests.fixtures.answering"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(respondent.__file__).parents[1]))


@pytest.fixture
async def child() -> AsyncIterator[Respondent]:
    made = Respondent("tests", CHILD)
    yield made
    made.close()


async def test_questions_at_once_get_their_own_answers_from_one_process(child: Respondent) -> None:
    questions = [{"n": n, "text": "é" * n} for n in range(20)]
    answers = await asyncio.gather(*(child.ask(question) for question in questions))
    assert [answer[0] for answer in answers] == questions
    assert {answer[1] for answer in answers} == {child.pid}


async def test_one_that_dies_fails_its_question_only(child: Respondent) -> None:
    (_, first) = await child.ask("a")
    with pytest.raises(EOFError):
        await child.ask("die")
    assert child.pid is None
    (_, second) = await child.ask("b")
    assert second != first


async def test_one_that_hangs_is_ended(child: Respondent, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, first) = await child.ask("a")
    monkeypatch.setattr(respondent, "ANSWER_TIMEOUT_S", 0.2)
    with pytest.raises(TimeoutError):
        await child.ask("hang")
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE


async def test_who_stops_waiting_costs_the_others_nothing(child: Respondent) -> None:
    (_, pid) = await child.ask("a")
    left = asyncio.create_task(child.ask("left"))
    await asyncio.sleep(0)
    left.cancel()
    assert await child.ask("b") == ["b", pid]
    assert left.cancelled()


async def test_it_ends_when_it_is_closed_in_the_middle(child: Respondent) -> None:
    (_, pid) = await child.ask("a")
    asking = asyncio.create_task(child.ask("hang"))
    await until(lambda: child._asking is not None and not child._asking.done())
    child.close()
    with pytest.raises((EOFError, OSError)):
        await asking
    assert not psutil.pid_exists(pid)


async def test_idle_it_ends_but_not_while_it_is_asked(child: Respondent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respondent, "IDLE_S", 0.01)
    await child.ask("a")
    await until(lambda: child.pid is None)
    assert (await child.ask("b"))[0] == "b"
    asking = asyncio.create_task(child.ask("c"))
    await asyncio.sleep(0)
    child.end_idle()
    assert (await asking)[0] == "c"


async def test_it_hears_its_greeting_first(child: Respondent) -> None:
    heard = []
    greeted = Respondent("tests", CHILD, lambda: heard.append(1) or "hello")  # type: ignore[func-returns-value]
    assert (await greeted.ask("a"))[0] == "a"
    assert heard == [1]
    greeted.close()
    refused = Respondent("tests", CHILD, lambda: "die")
    with pytest.raises(Unavailable):
        await refused.ask("a")
    missing = Respondent("tests", "no.such.module", lambda: "hello")
    with pytest.raises(Unavailable):
        await missing.ask("a")
