"""docs/audit.md names every act that the code records, and none that it does not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import api

ACT = re.compile(r"[a-z_]+\.[a-z_]+")
ROOT = Path(api.__file__).parent
DOORS = ("api.audit.record", "api.scim.desk", "api.cli.stored")
"""Who imports none of these records nothing, whatever its functions are called."""
TREES = {
    path: ast.parse(text)
    for path in sorted(ROOT.rglob("*.py"))
    if any(door in (text := path.read_text("utf-8")) for door in DOORS)
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def functions() -> Iterator[tuple[Path, Function]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def hands_on(node: ast.Call) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "action" for each in node.args)


def recorders() -> set[str]:
    """`record`, and whatever hands its own parameter `action` on to a recorder."""
    known = {"record", "record_each"}
    while True:
        more = {
            function.name
            for _, function in functions()
            if "action" in {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
            and any(isinstance(node, ast.Call) and called(node) in known for node in ast.walk(function))
        }
        if more <= known:
            return known
        known |= more


def acts() -> dict[str, list[str]]:
    """What each call of a recorder names, by where it stands."""
    names, found = recorders(), {}
    for path, function in functions():
        if function.name in names:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and called(node) in names and not hands_on(node):
                texts = [each.value for argument in node.args for each in ast.walk(argument)
                         if isinstance(each, ast.Constant) and isinstance(each.value, str)]  # fmt: skip
                found[f"{path.relative_to(ROOT)}:{node.lineno}"] = [text for text in texts if ACT.fullmatch(text)]
    return found


def test_every_entry_names_its_act_in_the_open() -> None:
    assert [place for place, named in acts().items() if not named] == []


def test_the_page_has_every_act() -> None:
    page = (ROOT.parent / "docs" / "audit.md").read_text("utf-8")
    table = page.split("| recorded | actions |")[1].split("\n\n")[0]
    told = set(re.findall(rf"`({ACT.pattern})`", table))
    assert told == {act for named in acts().values() for act in named}
