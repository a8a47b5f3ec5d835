"""`manta chat`: talk to a model in the terminal, or answer once what stands on standard input."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.client import Client, require
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from api.cli.output import console, print_json
from configs.errors import BadRequest, MantaError, ModelNotFound
from configs.specs import Kind

app = application()

CHAT = "/v1/chat/completions"
HELP = "/exit or Ctrl-D ends, /clear forgets the conversation, Ctrl-C stops an answer."


@app.command(epilog="Example: echo 'What is Ray?' | manta chat --model starter --max-tokens 64")
def chat(
    *,
    model: Annotated[str | None, typer.Option(help="The model's name; else the first chat model that is up.")] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="0 always takes the likeliest token.", min=0, max=2)] = None,
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Chat with a model in the terminal. What is piped in is answered once."""
    with require(Installation(config, data_dir), url, key) as client:
        options = {"max_tokens": max_tokens, "temperature": temperature}
        talk = Talk(client, model or first_chat_model(client), system, options)
        if sys.stdin.isatty() and not as_json:
            _converse(talk)
        else:
            _answer_once(talk, as_json=as_json)


@dataclass
class Spoken:
    """One answer, as the client saw it."""

    text: str = ""
    tokens: int = 0
    ttft_s: float = 0.0
    total_s: float = 0.0

    def rate(self) -> float:
        """Tokens per second after the first."""
        stream_s = self.total_s - self.ttft_s
        return (self.tokens - 1) / stream_s if self.tokens > 1 and stream_s > 0 else 0.0

    def summary(self) -> str:
        """For the line below an answer."""
        return f"{self.tokens} tokens, first after {1000 * self.ttft_s:.0f} ms, then {self.rate():.1f} tokens/s"


class Talk:
    """A conversation; what was said is sent along."""

    def __init__(self, client: Client, model: str, system: str | None, options: dict[str, Any]) -> None:
        self.model = model
        self._client = client
        self._options = {name: value for name, value in options.items() if value is not None}
        self._opening = [{"role": "system", "content": system}] if system else []
        self._said: list[dict[str, str]] = []
        self.last = Spoken()

    def clear(self) -> None:
        """Begin anew."""
        self._said.clear()

    def ask(self, question: str) -> Iterator[str]:
        """The answer, piece by piece; `last` has its numbers afterwards. A broken answer is not remembered."""
        messages = [*self._opening, *self._said, {"role": "user", "content": question}]
        body = {"model": self.model, "messages": messages, "stream": True, **self._options}
        spoken = self.last = Spoken()
        start = time.perf_counter()
        for event in self._client.events(CHAT, {**body, "stream_options": {"include_usage": True}}):
            if event.get("usage"):
                spoken.tokens = event["usage"]["completion_tokens"]
            piece = "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            if piece:
                spoken.ttft_s = spoken.ttft_s or time.perf_counter() - start
                spoken.text += piece
                yield piece
        spoken.total_s = time.perf_counter() - start
        self._said += [messages[-1], {"role": "assistant", "content": spoken.text}]


def first_chat_model(client: Client) -> str:
    """The first chat model that can answer.

    Raises:
        ModelNotFound: there is none.
    """
    rows = client.get("/api/models")["data"]
    chats = [row for row in rows if row["kind"] == Kind.CHAT]
    up = [row for row in chats if row["state"] in ("ready", "asleep")]
    if not chats:
        raise ModelNotFound("no chat model is served: `manta models add NAME` adds one")
    return str((up or chats)[0]["id"])


def _answer_once(talk: Talk, *, as_json: bool) -> None:
    question = sys.stdin.read().strip()
    if not question:
        raise BadRequest("there is no question: type one in a terminal, or pipe it in")
    for piece in talk.ask(question):
        if not as_json:
            typer.echo(piece, nl=False)
    spoken = talk.last
    if as_json:
        figures = {"tokens": spoken.tokens, "ttft_s": spoken.ttft_s, "tokens_per_s": spoken.rate()}
        print_json({"model": talk.model, "content": spoken.text, **figures})
        return
    typer.echo()
    typer.echo(spoken.summary(), err=True)


def _converse(talk: Talk) -> None:
    screen = console()
    screen.print(f"{talk.model}. {HELP}", style="dim", markup=False)
    while (question := _read(screen)) is not None:
        if question == "/clear":
            talk.clear()
        elif question == "/help":
            screen.print(HELP, style="dim")
        elif question:
            _show(screen, talk, question)


def _read(screen: Console) -> str | None:
    """What is typed next; None at the end."""
    try:
        text = screen.input("\n[bold cyan]>[/bold cyan] ").strip()
    except (EOFError, KeyboardInterrupt):
        return None
    return None if text in ("/exit", "/quit") else text


def _show(screen: Console, talk: Talk, question: str) -> None:
    try:
        for piece in talk.ask(question):
            screen.out(piece, end="")
    except KeyboardInterrupt:
        screen.print("\nstopped", style="dim")
        return
    except MantaError as error:
        screen.print(f"\n{error.message}", style="red", markup=False)
        return
    screen.print(f"\n{talk.last.summary()}", style="dim")
