"""Real text to learn from: docstrings of installed packages and of Python itself, read as source and never imported.

Only packages whose own metadata names a permissive licence are read, and never one that is held out. The descriptions
of packages (README), which retrieval is evaluated on, are not read at all.
"""

import ast
import inspect
import re
import sysconfig
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|PSF|PSFL|Python Software Foundation|ISC)\b", re.IGNORECASE)
BINDING = re.compile(r"GPL|MPL|Mozilla|Proprietary|End User|EULA", re.IGNORECASE)
LICENCE_LINE = 200
"""Characters; a `License` field that is longer holds the whole text, of which the first line tells the name."""
SHORTEST, LONGEST = 160, 2400
"""Characters of a passage; longer ones are cut at a blank line."""
MOST_PER_PACKAGE = 150
TESTS = re.compile(r"(^|/)(tests?|testing|_?vendor(ed)?|third_party)(/|$)|(^|/)(test_|conftest)")
PYTHON = "python"
"""What the standard library is called here."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A docstring: the package it is of, the name of what it describes, and the text."""

    package: str
    name: str
    text: str


def passages(held_out: Collection[str], most_per_package: int = MOST_PER_PACKAGE) -> Iterator[Passage]:
    """All of them, ordered by package, file and line; `held_out` names packages that nothing is read of."""
    without = {canonical(name) for name in held_out}
    found = {canonical(each.name): each for each in reversed(list(distributions()))}
    for name in sorted(found):
        if name not in without and name != "manta" and permissive(found[name]):
            yield from _of_files(name, sorted(_sources(found[name])), most_per_package)
    library = Path(sysconfig.get_path("stdlib"))
    yield from _of_files(PYTHON, sorted(library.glob("*.py")) + sorted(library.glob("[a-z]*/*.py")), most_per_package)


def permissive(distribution: Distribution) -> bool:
    """Whether all that its metadata says of its licence is one that lets anybody use the text."""
    metadata = distribution.metadata.json
    said = [metadata.get("license_expression"), str(metadata.get("license") or "").strip()[:LICENCE_LINE]]
    classifiers = metadata.get("classifier") or []
    said += [each for each in classifiers if str(each).startswith("License ::")]
    text = "\n".join(str(each) for each in said if each)
    return bool(PERMISSIVE.search(text)) and not BINDING.search(text)


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _sources(distribution: Distribution) -> Iterator[Path]:
    for file in distribution.files or ():
        if file.suffix == ".py" and not TESTS.search(file.as_posix()):
            yield Path(str(distribution.locate_file(file)))


def _of_files(package: str, files: list[Path], left: int) -> Iterator[Passage]:
    seen: set[str] = set()
    for passage in (passage for file in spread(files) for passage in _docstrings(package, file)):
        if passage.text not in seen:
            seen.add(passage.text)
            yield passage
            left -= 1
        if not left:
            return


def spread(files: list[Path]) -> list[Path]:
    """The same files in an order that takes a large package from all its ends."""
    step = max(1, len(files) // 50)
    return [file for first in range(step) for file in files[first::step]]


def _docstrings(package: str, file: Path) -> Iterator[Passage]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # others' invalid escapes
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # a template, or of another Python: the rest is text enough
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = file.stem if isinstance(node, ast.Module) else node.name
            if text := shortened(inspect.cleandoc(ast.get_docstring(node, clean=False) or "")):
                yield Passage(package, name, text)


def shortened(text: str) -> str:
    """Whole paragraphs up to LONGEST characters; nothing where it is too short, or no English prose."""
    while len(text) > LONGEST:
        cut = text.rfind("\n\n", 0, LONGEST)
        text = text[: cut if cut > SHORTEST else LONGEST]
    letters = sum(char.isascii() and (char.isalpha() or char.isspace()) for char in text)
    return text.strip() if len(text) >= SHORTEST and letters > 0.75 * len(text) else ""
