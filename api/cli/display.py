"""What a start looks like: a live table in a terminal, one line per change elsewhere."""

import asyncio
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import httpx2
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from api.launcher.parts import Part, Parts
from api.tls import pinned

POLL_S = 0.5
SETTLED = {"ready", "asleep", "failed"}
STYLES = {"ready": "green", "asleep": "green", "failed": "red"}
MARKS = {"ready": "[green]✓[/green]", "asleep": "[green]✓[/green]", "failed": "[red]✗[/red]", "waiting": "·"}


class Display(Protocol):
    """Where a run shows itself."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def changed(self, part: Part) -> None:
        """A part entered a phase."""

    def say(self, text: str) -> None:
        """A sentence."""

    def settle(self) -> None:
        """The start is over: nothing moves any more."""

    def ready(self, url: str, key: str) -> None:
        """Everything is up: show how to use it."""


class Lines:
    """Plain lines with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        pass

    def changed(self, part: Part) -> None:
        """A part entered a phase."""
        took = f" ({part.took_s:.1f} s)" if part.took_s is not None else ""
        style = STYLES.get(part.phase, "yellow")
        self._line(f"{escape(part.name):<28} [{style}]{escape(part.phase)}[/{style}]{took}")

    def say(self, text: str) -> None:
        """A sentence."""
        self._line(escape(text))

    def settle(self) -> None:
        """Nothing moves here."""

    def ready(self, url: str, key: str) -> None:
        """Everything is up: show how to use it."""
        self._line(f"[bold]ready[/bold]  curl {url}/v1/models -H 'Authorization: Bearer {key}'")

    def _line(self, text: str) -> None:
        elapsed = time.monotonic() - self._start
        self._console.print(f"[dim]{elapsed:6.1f} s[/dim]  {text}")
        sys.stdout.flush()


class Moving(Lines):
    """A table that moves while the parts start; lines after that."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._parts: dict[str, Part] = {}
        self._spinner = Spinner("dots")
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.settle()

    def changed(self, part: Part) -> None:
        """A part entered a phase."""
        self._parts[part.name] = part
        if not self._live.is_started:
            super().changed(part)

    def settle(self) -> None:
        """Leave the table as it is and go on with lines."""
        self._live.stop()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for part in list(self._parts.values()):
            seconds = part.took_s if part.took_s is not None else time.monotonic() - part.since
            moving = part.phase not in SETTLED and part.phase != "waiting"
            clock = f"[dim]{seconds:6.1f} s[/dim]" if moving or part.took_s is not None else ""
            style = STYLES.get(part.phase, "yellow")
            mark: Any = self._spinner if moving else MARKS[part.phase]
            table.add_row(mark, escape(part.name), f"[{style}]{escape(part.phase)}[/{style}]", clock)
        return table


def make_display() -> Display:
    """The one that fits where standard output goes."""
    console = Console(highlight=False, soft_wrap=True)
    return Moving(console) if console.is_terminal else Lines(console)


async def follow_models(url: str, key: str, parts: Parts, display: Display, certificate: Path | None = None) -> None:
    """Show the models' phases until each is up or failed; `key` may ask why."""
    told: set[str] = set()
    verify = pinned(certificate) if certificate is not None else True
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False, verify=verify) as client:
        while True:
            models = await _states(client, url)
            for name, state in models.items():
                failed = state["state"] == "failed"
                parts.set(f"model {name}", "failed" if failed else state["phase"])
                if failed and name not in told:
                    told.add(name)
                    why = reason(await _message(client, url, key, name))
                    display.say(f"model {name} failed: {why}; `manta logs --part model:{name}`")
            if all(state["state"] in SETTLED for state in models.values()) and (models or not _expected(parts)):
                return
            await asyncio.sleep(POLL_S)


def reason(message: str) -> str:
    """The one line of Serve's report that says why: the last one that an exception wrote."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line.partition(":")[0]]
    return (told or lines or ["the log has the reason"])[-1]


async def _states(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    try:
        states: dict[str, Any] = (await client.get(f"{url}/readyz")).json()["parts"].get("models", {})
    except (httpx2.HTTPError, ValueError, KeyError):
        return {}
    return states


async def _message(client: httpx2.AsyncClient, url: str, key: str, name: str) -> str:
    """What `/readyz` keeps from those without a key."""
    try:
        answer = await client.get(f"{url}/api/models", headers={"authorization": f"Bearer {key}"})
        return next((str(model["message"]) for model in answer.json()["data"] if model["id"] == name), "")
    except (httpx2.HTTPError, ValueError, KeyError):
        return ""


def _expected(parts: Parts) -> bool:
    return any(part.name.startswith("model ") for part in parts.all())
