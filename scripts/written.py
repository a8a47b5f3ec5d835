"""Write a generated file, or say that it is stale.

Used by every generator here, so that `--check` means the same everywhere. It knows no content.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write(contents: Mapping[str, str], arguments: list[str]) -> int:
    """Write each text to its path below the repository; with `--check` only compare. Returns the exit status."""
    stale = [path for path, text in contents.items() if read(path) != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} is stale; run: python {Path(sys.argv[0]).name}", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        (ROOT / path).write_text(contents[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


def read(path: str) -> str:
    """The file's text, empty where there is no such file yet."""
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.exists() else ""
