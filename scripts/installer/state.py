"""What is installed: one small JSON file inside the virtual environment, replaced atomically after every step."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class State:
    """The steps that are done, each with the digest of what it was made from."""

    root: str = ""
    python: str = ""
    device: str = ""
    running: str = ""  # the step under way; still set after a run that died
    done: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> State:
    """Read the state; a missing or unreadable file is an empty state, which installs everything again."""
    try:
        return State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return State()


def save(state: State, path: Path) -> None:
    """Write the state so that a reader sees the old or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(state), indent=1))
    draft.replace(path)


@contextmanager
def underway(state: State, path: Path, name: str, digest: str) -> Iterator[None]:
    """Mark a step as running, and as done when the block ends without an error."""
    state.running = name
    save(state, path)
    yield
    state.done[name] = digest
    state.running = ""
    save(state, path)


def digest(*parts: str | Path) -> str:
    """Return one sha256 over texts and the contents of files."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()
