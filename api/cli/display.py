"""What a start looks like: a live table in a terminal, one line per change elsewhere."""

import asyncio
import sys
import time

import httpx2
from rich.console import Console

from api.launcher.parts import Part, Parts

POLL_S = 0.5
SETTLED = {"ready", "asleep", "failed"}


class Display:
    """Plain lines with the seconds since the start; coloured where there is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=False, highlight=False, soft_wrap=True)
        self._start = time.monotonic()

    def changed(self, part: Part) -> None:
        """A part entered a phase."""
        took = f" ({part.took_s:.1f} s)" if part.took_s is not None else ""
        style = {"ready": "green", "failed": "red"}.get(part.phase, "yellow")
        self._line(f"{part.name:<28} [{style}]{part.phase}[/{style}]{took}")

    def say(self, text: str) -> None:
        """A sentence."""
        self._line(text)

    def ready(self, url: str, key: str) -> None:
        """Everything is up: show how to use it."""
        self._line(f"[bold]ready[/bold]  curl {url}/v1/models -H 'Authorization: Bearer {key}'")

    def _line(self, text: str) -> None:
        elapsed = time.monotonic() - self._start
        self._console.print(f"[dim]{elapsed:6.1f} s[/dim]  {text}")
        sys.stdout.flush()


async def follow_models(url: str, parts: Parts) -> None:
    """Show the models' phases until each is up or failed."""
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as client:
        while True:
            try:
                models = (await client.get(f"{url}/readyz")).json()["parts"].get("models", {})
            except (httpx2.HTTPError, ValueError, KeyError):
                models = {}
            for name, state in models.items():
                failed = state["state"] == "failed"
                parts.set(f"model {name}", "failed" if failed else state["phase"])
            if models and all(state["state"] in SETTLED for state in models.values()):
                return
            await asyncio.sleep(POLL_S)
