"""The files that git tracks, and the repository's folder."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked(suffix: str = "") -> tuple[str, ...]:
    """Paths from the repository's folder that end with `suffix`, links and deleted ones left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name.endswith(suffix)]
    return tuple(name for name in names if (ROOT / name).is_file())


@cache
def text_of(name: str) -> str:
    """A tracked file's text, "" for a binary one."""
    content = (ROOT / name).read_bytes()
    return "" if b"\0" in content[:8192] else content.decode("utf-8", "replace")
