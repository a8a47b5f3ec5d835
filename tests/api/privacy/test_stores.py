"""Nothing begins to hold data of people unnoticed: whoever makes it do so decides how an erasure gets there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import api
from api.privacy import stores
from api.privacy.erase import ERASERS
from configs.datadir import Layout

ROOT = Path(api.__file__).parent
USERS_OF = {
    "configs.valkey": {"readiness.py", "launcher/launcher.py"},  # asks whether it answers; starts it
    "finetune": set(),
}
"""Who in `api` imports these parts today, for nothing that touches a person."""


def top_level(tmp_path: Path) -> set[str]:
    """The paths of a layout that lie in the data directory itself."""
    layout, found = Layout(tmp_path), set()
    for name in dir(Layout):
        if isinstance(getattr(Layout, name), property) and not name.startswith("_"):
            value = getattr(layout, name)
            if isinstance(value, Path) and value.parent == layout.data_dir and value != layout.run_dir:
                found.add(name)
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def importers(part: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if any(f"{name}.".startswith(f"{part}.") for name in imports(path))
    }


def test_every_folder_says_what_it_has_of_people(tmp_path: Path) -> None:
    assert set(stores.FOLDERS) == top_level(tmp_path)


def test_parts_that_hold_nothing_of_people_are_not_used_for_people() -> None:
    """Has one changed? Add what erases there to ERASERS, then take the part out of NOT_YET."""
    assert {part: importers(part) for part in stores.NOT_YET} == USERS_OF
    assert len(ERASERS) == 0


def test_the_page_says_it() -> None:
    page = (ROOT.parent / "docs" / "privacy.md").read_text("utf-8")
    for held in stores.NOT_YET.values():
        assert held in page
