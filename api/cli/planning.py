"""What a vector store has against what is here: what is new, changed, moved or gone. It asks no server.

A file is known by its attribute `path`, its content by `digest`, and where it came from by `ingest_source`: two folders
of one name are not each other's newer state, unless somebody says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from api.cli.local_files import Folder, Gathered, Local
from configs.errors import BadRequest

SOURCE = "ingest_source"
"""Name of the attribute."""
LASTING = {"invalid_file", "unsupported_file"}
"""Why indexing the same content again would fail again."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file that the store has."""

    id: str
    path: str
    digest: str
    status: str
    error: dict[str, str] | None
    source: str = ""
    others: dict[str, Any] = field(default_factory=dict)
    """Attributes that somebody gave it, and that stay."""


@dataclass(slots=True)
class Plan:
    """What is to be done."""

    new: list[Local] = field(default_factory=list)
    changed: list[Local] = field(default_factory=list)
    unchanged: int = 0
    again: list[Known] = field(default_factory=list)
    """Unchanged, but without an end so far that counts: indexed again without an upload."""
    gone: list[Known] = field(default_factory=list)
    failed: list[Known] = field(default_factory=list)
    """Unchanged, and failed for a reason that lasts."""
    replaced: dict[str, list[Known]] = field(default_factory=dict)
    """What goes once the file of that path is indexed."""
    moved: list[Known] = field(default_factory=list)
    """With their new paths and sources: the same file lies in another folder."""


def attributes_of(file: Local | Known) -> dict[str, Any]:
    """What a file is known by again, beside what somebody else gave it."""
    others = file.others if isinstance(file, Known) else {}
    return {**others, "path": file.path, "digest": file.digest} | ({SOURCE: file.source} if file.source else {})


def plan_of(gathered: Gathered, known: dict[str, list[Known]], *, replacing: bool = False) -> Plan:
    """What to do so that the store has what is here; `replacing` also what another folder of that name brought.

    Raises:
        BadRequest: another one brought files of these names, and they are not to be replaced.
    """
    others = _of_others(gathered, known)
    if others and not replacing:
        text = f"the store has files of the same names that came from elsewhere ({len(others)}, such as "
        ways = "choose another store by --store, or say --replace if what is here is their newer state"
        raise BadRequest(f"{text}{others[0].path!r}): {ways}")
    plan = Plan()
    for local in gathered.files:
        newest, *older = known.get(local.path, [None])
        if newest is None:
            plan.new.append(local)
            continue
        older = [each for each in older if each is not None]
        if newest.digest != local.digest:
            plan.changed.append(local)
            older = [newest, *older]
        else:
            older = _same(plan, newest, local, older)
        if older:
            plan.replaced[local.path] = older
    here = {local.path for local in gathered.files}
    unseen = tuple(f"{each.path}/" for each in gathered.skipped)
    for path, files in known.items():
        if path not in here and not f"{path}/".startswith(unseen):
            plan.gone += [each for each in files if _came_from(each, gathered.folders, anywhere=replacing)]
    return plan


def _same(plan: Plan, newest: Known, local: Local, older: list[Known]) -> list[Known]:
    """Plan a file whose content the store has; which older ones go."""
    now = replace(newest, source=local.source)
    lasting = newest.status == "failed" and (newest.error or {}).get("code") in LASTING
    if lasting:
        plan.failed.append(now)
    elif newest.status != "completed":
        plan.again.append(now)
        return older
    elif now == newest:
        plan.unchanged += 1
    if now != newest:
        plan.moved.append(now)
    return [] if lasting else older


def _of_others(gathered: Gathered, known: dict[str, list[Known]]) -> list[Known]:
    """What has the name of something here and came from elsewhere."""
    found = []
    for local in gathered.files:
        found += [each for each in known.get(local.path, []) if each.source != local.source]
    for label in {folder.label for folder in gathered.folders}:
        folders = [folder for folder in gathered.folders if folder.label == label]
        under = [each for path, files in known.items() if path.startswith(label) for each in files]
        if not any(_came_from(each, folders) for each in under):
            found += under
    return list({each.id: each for each in found}.values())


def _came_from(file: Known, folders: Sequence[Folder], *, anywhere: bool = False) -> bool:
    return any(file.path.startswith(each.label) and (anywhere or file.source == each.source) for each in folders)


def find_moves(plan: Plan) -> None:
    """What is gone here and new there, with the same name and content, has moved: it needs no upload and no index."""
    left: dict[tuple[str, str], list[Known]] = {}
    for each in plan.gone:
        if each.status == "completed":
            left.setdefault((PurePosixPath(each.path).name, each.digest), []).append(each)
    for local in list(plan.new):
        if there := left.get((PurePosixPath(local.path).name, local.digest)):
            old = there.pop()
            plan.new.remove(local)
            plan.gone.remove(old)
            plan.moved.append(replace(old, path=local.path, source=local.source))
