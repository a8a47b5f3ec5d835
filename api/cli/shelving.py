"""How a vector store is brought along: what it has is read, and what is planned (`api.cli.planning`) is done.

A changed file replaces the old one only once it is indexed, so that there is always one of them to be found.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from api.cli.client import Client, Refusal
from api.cli.local_files import Local
from api.cli.planning import SOURCE, Known, Plan, attributes_of
from configs.errors import BadRequest

STORES = "/v1/vector_stores"
PURPOSE = "assistants"
PAGE = 100
BATCH_FILES = 100
UPLOADS = 4
POLL_S = 1.0
BUSY = {429, 503}
TRIES = 5
OF_ONE_FILE = {400, 409, 413}
"""The server refuses this file; the others may go on."""


def find_store(client: Client, wanted: str) -> dict[str, Any] | None:
    """The store of that id or name.

    Raises:
        BadRequest: several have that name.
        MantaError: the server's own.
    """
    if wanted.startswith("vs_"):
        found: dict[str, Any] = client.get(f"{STORES}/{wanted}")
        return found
    named = [each for each in pages(client, STORES) if each["name"] == wanted]
    if len(named) > 1:
        ids = ", ".join(each["id"] for each in named)
        raise BadRequest(f"several stores are called {wanted!r}: choose one by --store with its id ({ids})")
    return named[0] if named else None


def pages(client: Client, path: str, **query: str) -> Iterator[dict[str, Any]]:
    """Everything of a list that comes in pages."""
    after: str | None = None
    while True:
        asked = {"limit": str(PAGE), **query} | ({"after": after} if after else {})
        page = patient(client.get, f"{path}?{urlencode(asked)}")
        yield from page["data"]
        if not page["has_more"]:
            return
        after = page["data"][-1]["id"]


def known_files(client: Client, store_id: str) -> dict[str, list[Known]]:
    """What the store has by path, the newest of each first; files without a path are somebody else's."""
    found: dict[str, list[Known]] = {}
    for each in pages(client, f"{STORES}/{store_id}/files", order="desc"):
        attributes = each.get("attributes") or {}
        if path := str(attributes.get("path") or ""):
            digest, source = (str(attributes.get(name) or "") for name in ("digest", SOURCE))
            file = Known(each["id"], path, digest, each["status"], each["last_error"], source, attributes)
            found.setdefault(path, []).append(file)
    return found


def move(client: Client, store_id: str, files: Sequence[Known]) -> None:
    """Give files that moved their new paths; one that is gone meanwhile is no error."""
    for each in files:
        _unless_gone(client.post, f"{STORES}/{store_id}/files/{each.id}", {"attributes": attributes_of(each)})


@dataclass(slots=True)
class Sent:
    """What was handed to the server."""

    paths: dict[str, str] = field(default_factory=dict)
    """By id of the file."""
    batches: list[tuple[str, int]] = field(default_factory=list)
    """Id and number of files."""
    refused: list[dict[str, str]] = field(default_factory=list)


def send(client: Client, store_id: str, plan: Plan, told: Callable[[int], None]) -> Sent:
    """Upload what is new or changed, and have it indexed; `told` hears how many files went out.

    Raises:
        MantaError: the server's own, unless it is about one file.
    """
    sent = Sent()
    files: list[Local | Known] = [*plan.new, *plan.changed, *plan.again]
    with ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload") as pool:
        for start in range(0, len(files), BATCH_FILES):
            group = files[start : start + BATCH_FILES]
            entries = [entry for entry in pool.map(lambda each: _entry(client, each, sent), group) if entry]
            if entries:
                body = {"files": entries}
                made = patient(client.post, f"{STORES}/{store_id}/file_batches", body)
                sent.batches.append((made["id"], len(entries)))
            told(len(group))
    return sent


def wait(client: Client, store_id: str, sent: Sent, told: Callable[[int], None]) -> list[dict[str, str]]:
    """Until everything that was sent has its end; what failed, and why. `told` hears how many are done."""
    done_before, failed = 0, []
    for batch_id, count in sent.batches:
        place = f"{STORES}/{store_id}/file_batches/{batch_id}"
        while True:
            batch = patient(client.get, place)
            told(done_before + count - batch["file_counts"]["in_progress"])
            if batch["status"] != "in_progress":
                break
            time.sleep(POLL_S)
        done_before += count
        if batch["file_counts"]["failed"]:
            failed += [
                {"path": sent.paths.get(each["id"], each["id"]), **(each["last_error"] or {})}
                for each in pages(client, f"{place}/files", filter="failed")
            ]
    return failed


def notes(client: Client, store_id: str, sent: Sent) -> list[dict[str, str]]:
    """What could not be read inside the files that were indexed."""
    return [
        {"path": sent.paths.get(each["id"], each["id"]), "note": note}
        for batch_id, _ in sent.batches
        for each in pages(client, f"{STORES}/{store_id}/file_batches/{batch_id}/files", filter="completed")
        for note in each.get("notes", ())
    ]


def remove(client: Client, files: Sequence[Known]) -> None:
    """Delete files that this command had uploaded; one that is gone already is no error."""
    for each in files:
        _unless_gone(client.delete, f"/v1/files/{each.id}")


def _unless_gone(call: Callable[..., Any], *arguments: object) -> None:
    try:
        patient(call, *arguments)
    except Refusal as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise


def patient(call: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  any JSON
    """Call again where the server says that it is busy."""
    for attempt in range(TRIES):
        try:
            return call(*arguments)
        except Refusal as refusal:
            if refusal.status not in BUSY or attempt == TRIES - 1:
                raise
            time.sleep(POLL_S * 2**attempt)
    raise AssertionError


def _entry(client: Client, each: Local | Known, sent: Sent) -> dict[str, Any] | None:
    """One file of a batch; uploaded, where it is a local one."""
    if isinstance(each, Known):
        file_id = each.id
    else:
        try:
            file_id = patient(_uploaded, client, each)["id"]
        except Refusal as refusal:
            if refusal.status not in OF_ONE_FILE:
                raise
            sent.refused.append({"path": each.path, "code": "refused", "message": refusal.message})
            return None
        except OSError as error:
            sent.refused.append({"path": each.path, "code": "unreadable", "message": error.strerror or "unreadable"})
            return None
    sent.paths[file_id] = each.path
    return {"file_id": file_id, "attributes": attributes_of(each)}


def _uploaded(client: Client, local: Local) -> Any:  # noqa: ANN401  any JSON
    if isinstance(local.content, Path):
        with local.content.open("rb") as file:
            return client.upload("/v1/files", local.name, file, {"purpose": PURPOSE})
    return client.upload("/v1/files", local.name, local.content, {"purpose": PURPOSE})
