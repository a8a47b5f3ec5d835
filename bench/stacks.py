"""The two that are compared: an installed `manta serve`, and vLLM's own server with the same engine arguments.

Each is started as a user would start it and ended with everything it started. It measures nothing.
"""

import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

import orjson
import yaml

from api.keys import key_of
from bench import processes
from bench.load import Client, Server, chat_body, run
from configs import procfs
from configs.datadir import Layout
from configs.processes import Child, spawn
from models import sources

MANTA_PORT = 8210
PLAIN_PORT = 9310
START_TIMEOUT_S = 300.0
STOP_GRACE_S = 90.0
POLL_S = 0.05

MODEL = "starter"
KV_CACHE_BYTES = 2**30
"""What `models.chat.arguments` gives an engine on a CPU."""
ENGINE: dict[str, Any] = {
    "dtype": "float32",
    "max_model_len": 4096,
    "enable_auto_tool_choice": True,
    "tool_call_parser": "hermes",
}
EMBEDDING_MODEL = "all-MiniLM-L6-v2"
EMBEDDER = {
    "model_name": EMBEDDING_MODEL,
    "kind": "embedding",
    "params": {"model": f"sentence_transformers/{EMBEDDING_MODEL}"},
}


@dataclass(frozen=True)
class Stack:
    """One of the two, running. `data_dir` is Manta's; a plain server has none."""

    name: str
    server: Server
    child: Child = field(repr=False)
    data_dir: Path | None = None

    def pids(self) -> list[int]:
        """Every process of it. Ray's own are no children of the launcher; they work in its folder."""
        roots = [self.child.pid]
        if self.data_dir is not None:
            roots += procfs.inside(Layout(self.data_dir).ray)
        return processes.tree(roots)

    def meter(self) -> processes.Meter:
        """Count its CPU from now on."""
        return processes.Meter(self.pids())

    def get(self, path: str, timeout_s: float = 5.0) -> bytes | None:
        """A page below the server's root, or None when it does not answer with success."""
        url = self.server.url.removesuffix("/v1") + path
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.server.key}"})
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                content: bytes = answer.read()
                return content
        except (urllib.error.URLError, OSError):
            return None

    def ready(self) -> bool:
        """Whether every model answers."""
        if self.data_dir is None:
            return self.get("/health") is not None
        page = self.get("/readyz")
        models = orjson.loads(page)["parts"].get("models", {}) if page else {}
        return bool(models) and all(model["state"] == "ready" for model in models.values())

    def wait_ready(self) -> None:
        """Block until every model answers.

        Raises:
            RuntimeError: it ended, or took too long.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready():
            if not self.child.alive() or time.monotonic() > deadline:
                log = self.child.command.log if self.child.command else None
                raise RuntimeError(f"{self.name} did not become ready; see {log}")
            time.sleep(POLL_S)


@contextmanager
def manta(folder: Path, *, embedder: bool = False, port: int = MANTA_PORT) -> Iterator[Stack]:
    """`manta serve`, not waited for; `folder` takes its data and log and must not be closed to other accounts."""
    chat = {"model_name": MODEL, "params": {"model": f"vllm/{MODEL}"}, "engine": ENGINE}
    config = folder / "manta.yaml"
    config.write_text(yaml.safe_dump({"model_list": [chat, EMBEDDER] if embedder else [chat]}))
    data_dir = folder / "data"
    layout = Layout(data_dir)
    layout.prepare()
    key = key_of(layout.secret("operator_key"))
    command = str(Path(sys.executable).with_name("manta"))
    argv = [command, "serve", "--config", str(config), "--port", str(port), "--data-dir", str(data_dir)]
    child = spawn("manta", argv, cwd=folder, env=environment(), stdout=folder / "manta.log")
    try:
        yield Stack("manta", Server(f"http://127.0.0.1:{port}/v1", MODEL, key), child, data_dir)
    finally:
        child.terminate(STOP_GRACE_S)


@contextmanager
def plain(folder: Path, *, port: int = PLAIN_PORT) -> Iterator[Stack]:
    """vLLM's OpenAI server in one process, access log off, not waited for."""
    argv = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model_folder())]
    argv += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port), "--api-server-count", "1"]
    argv += ["--disable-uvicorn-access-log", *flags(engine_arguments())]
    child = spawn("plain vLLM", argv, cwd=folder, env=environment(), stdout=folder / "plain.log")
    stack = Stack("plain vLLM", Server(f"http://127.0.0.1:{port}/v1", MODEL), child)
    try:
        yield stack
    finally:
        below = [Child.adopt("vLLM", pid) for pid in stack.pids() if pid != child.pid]
        child.terminate(STOP_GRACE_S)
        for left in below:
            if left is not None:
                left.terminate(STOP_GRACE_S, SIGTERM)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the stores' own account can pass, removed afterwards with Manta's short-lived files."""
    folder = Path(tempfile.mkdtemp(prefix="manta-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if (folder / "data").exists():
            shutil.rmtree(Layout(folder / "data").run_dir, ignore_errors=True)
        shutil.rmtree(folder)


@contextmanager
def both() -> Iterator[tuple[Stack, Stack]]:
    """Plain vLLM and Manta (one chat model each), both ready. They are started one after the other."""
    with open_folder() as folder, plain(folder) as theirs:
        theirs.wait_ready()
        with manta(folder) as ours:
            ours.wait_ready()
            yield theirs, ours


@contextmanager
def ready_manta() -> Iterator[Stack]:
    """Manta alone, ready."""
    with open_folder() as folder, manta(folder) as ours:
        ours.wait_ready()
        yield ours


def engine_arguments() -> dict[str, Any]:
    """Manta's, with the defaults that it adds on a CPU."""
    compilers = any(shutil.which(compiler) for compiler in ("g++", "c++", "clang++"))
    added: dict[str, Any] = {"kv_cache_memory_bytes": KV_CACHE_BYTES} if on_cpu() else {}
    return added | ({} if compilers or not on_cpu() else {"enforce_eager": True}) | ENGINE


def flags(arguments: dict[str, Any]) -> list[str]:
    """Engine arguments as vLLM's command line takes them."""
    found: list[str] = []
    for name, value in arguments.items():
        flag = "--" + name.replace("_", "-")
        found += [flag] if value is True else [flag, str(value)]
    return found


def model_folder() -> Path:
    """The bundled chat model."""
    return sources.folder(MODEL, "transformers")


def on_cpu() -> bool:
    """Whether vLLM will run on the CPU: there is no NVIDIA device."""
    return not any(Path("/dev").glob("nvidia[0-9]*"))


def environment() -> dict[str, str]:
    """Ours, without reporting home and without hubs."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}


def first_token_s(stack: Stack, start: float) -> float:
    """Seconds from `start` (perf_counter) until the server gave the first token of a stream, asked again and again."""

    async def one() -> float | None:
        client = Client(stack.server, 1)
        begin = time.perf_counter()
        outcome = await client.ask(stack.server.request(chat_body(1)))
        client.close()
        return None if outcome.error or outcome.ttft_s is None else begin + outcome.ttft_s - start

    while stack.child.alive():
        with suppress(OSError):
            if (found := run(one())) is not None:
                return found
        time.sleep(POLL_S)
    raise RuntimeError(f"{stack.name} ended while starting")
