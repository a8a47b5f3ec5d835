import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from rich.console import Console

from api.cli.display import Lines, Moving, follow_models, reason
from api.launcher.parts import Part, Parts
from tests.fixtures.servers import Served, served


def screen(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=terminal, highlight=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_change_is_a_line() -> None:
    lines = Lines(console := screen())
    parts = Parts(lines.changed)
    with lines:
        parts.set("postgres", "starting")
        parts.set("postgres", "starting")
        parts.set("model [a/b]", "load")
        lines.say("some [words]")
        lines.ready("http://127.0.0.1:8000", "sk-1")
        lines.settle()
    told = [line.split("s  ", 1)[1] for line in text_of(console).splitlines()]
    assert [line.split() for line in told[:2]] == [["postgres", "starting"], ["model", "[a/b]", "load"]]
    assert told[2] == "some [words]"
    assert "curl http://127.0.0.1:8000/v1/models -H 'Authorization: Bearer sk-1'" in told[3]


def test_a_part_that_is_ready_tells_how_long_it_took() -> None:
    lines = Lines(console := screen())
    lines.changed(Part("postgres", "ready", took_s=1.25))
    assert "ready (1.2 s)" in text_of(console)


def test_a_table_shows_every_part_and_goes_on_with_lines() -> None:
    moving = Moving(console := screen(terminal=True))
    with moving:
        for name, phase in (("postgres", "ready"), ("valkey", "waiting"), ("m", "failed"), ("n", "load [50%]")):
            moving.changed(Part(name, phase))
        moving.settle()
        moving.changed(Part("later", "ready"))
    shown = text_of(console)
    for words in ("postgres", "valkey", "✓", "✗", "load [50%]", "later"):
        assert words in shown


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", "the log has the reason"),
        ("  \n ", "the log has the reason"),
        ("one line", "one line"),
        ("Traceback:\n  File x\nValueError: a bad value\n", "ValueError: a bad value"),
        (
            "OSError: first\nthen words\nConfigurationError: last: really\nsee the log",
            "ConfigurationError: last: really",
        ),
        (
            "words\nthe Error is: not at the front? it is before a colon",
            "the Error is: not at the front? it is before a colon",
        ),
    ],
)
def test_the_reason_is_the_last_line_of_an_exception(message: str, line: str) -> None:
    assert reason(message) == line


KEY = "sk-operator"


class Site:
    """A server whose models come up look by look."""

    def __init__(self) -> None:
        self.looks: list[Any] = []
        self.messages: dict[str, str] = {}

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/readyz")
        async def readyz() -> Any:
            look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
            if look is None:
                return {"status": "up"}
            self.messages |= {name: state.pop("message", "") for name, state in look.items() if "message" in state}
            return {"parts": {"models": look}}

        @app.get("/api/models")
        async def models(request: Request) -> Any:
            assert request.headers["authorization"] == f"Bearer {KEY}"
            return {"data": [{"id": name, "message": message} for name, message in self.messages.items()]}

        return app


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.fixture
async def front(site: Site) -> AsyncIterator[Served]:
    async with served(site.app()) as at:
        yield at


def state(name: str, message: str = "") -> dict[str, Any]:
    return {"state": name, "phase": "load" if name == "starting" else name, "replicas": 0, "message": message}


async def test_models_are_followed_until_all_are_settled(
    front: Served, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.cli.display.POLL_S", 0.01)
    failed = state("failed", "OSError: no weights")
    site.looks = [
        None,
        {"a": state("starting"), "b": state("starting")},
        {"a": state("ready"), "b": state("starting")},
        {"a": state("ready"), "b": failed, "c": state("starting")},
        {"a": state("ready"), "b": failed, "c": state("asleep")},
    ]
    lines = Lines(console := screen())
    parts = Parts(lines.changed)
    parts.set("model a", "waiting")
    await follow_models(front.url, KEY, parts, lines)
    assert parts.as_json() == {"model a": "ready", "model b": "failed", "model c": "asleep"}
    assert text_of(console).count("model b failed: OSError: no weights; `manta logs --part model:b`") == 1


async def test_nothing_is_waited_for_where_no_model_is_expected(front: Served, site: Site) -> None:
    site.looks = [{}]
    lines = Lines(screen())
    parts = Parts(lines.changed)
    await follow_models(front.url, KEY, parts, lines)
    assert parts.all() == []
