"""Everything about a person as one zip. Its form is described in docs/privacy.md, and its version stands in it.

manifest.json                    form, version, when, whose
<organization>/<table>.json      rows of one table
<organization>/usage.jsonl       a row per request
<organization>/messages.jsonl    what the person wrote in conversations of others, opened
<organization>/files.json        what is known of the person's files
<organization>/files/<id>        a file, as it was sent
<organization>/vector_stores.json    the person's vector stores with their files and attributes, opened
<organization>/conversations/<id>.json   a conversation with all its messages, opened
"""

import asyncio
import logging
import tempfile
import zipfile
from datetime import UTC, datetime
from typing import IO, Any

import orjson

from api.conversations import Conversations
from api.db import accounts
from api.db import conversations as conversation_queries
from api.db import files as file_queries
from api.db import privacy as queries
from api.db.session import Database
from api.db.tables import File
from api.db.windows import Window
from api.files.library import Library
from api.privacy.classes import CLASSES, EXPORTED
from api.privacy.stores_export import StoresExport
from api.scope import Scope
from configs.errors import Unreadable

log = logging.getLogger(__name__)

FORM, VERSION = "manta-export", 1
IN_MEMORY_BYTES = 8 * 2**20
SECRET = {name: frozenset(c for c, kind in columns.items() if kind == "secret") for name, columns in CLASSES.items()}


async def export(
    database: Database,
    conversations: Conversations,
    library: Library,
    stores: StoresExport,
    user_id: str,
    organization_id: str,
) -> IO[bytes]:
    """The zip, at its beginning; the caller closes it.

    Raises:
        Unavailable: the database is down.
    """
    file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  handed over
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        async with database.reading(Scope(organization_id, user_id)) as unit:
            mine = [each for each, _, _ in await accounts.organizations_of(unit, user_id)]
            former = await accounts.former_organizations(unit, user_id)
        ids = list(dict.fromkeys([*mine, *former, organization_id]))
        for each in ids:
            await _organization(archive, database, conversations, Scope(each, user_id))
            await _files(archive, database, library, Scope(each, user_id))
            await stores.write(archive, Scope(each, user_id))
        manifest = {"form": FORM, "version": VERSION, "made_at": _now(), "user_id": user_id, "organizations": ids}
        archive.writestr("manifest.json", _json({**manifest, "tables": sorted(EXPORTED)}))
    file.seek(0)
    return file


async def _organization(
    archive: zipfile.ZipFile, database: Database, conversations: Conversations, scope: Scope
) -> None:
    folder = scope.organization_id
    async with database.reading(scope) as unit:
        for name, rows in (await queries.facts(unit, scope.user_id, SECRET)).items():
            archive.writestr(f"{folder}/{name}.json", _json(rows))
    async with database.reading(scope) as unit:
        lines = [orjson.dumps(row) async for row in queries.usage(unit, folder, scope.user_id)]
    await asyncio.to_thread(archive.writestr, f"{folder}/usage.jsonl", b"".join(line + b"\n" for line in lines))
    lines = await _elsewhere(database, conversations, scope)
    await asyncio.to_thread(archive.writestr, f"{folder}/messages.jsonl", b"".join(line + b"\n" for line in lines))
    after = ""
    while True:
        async with database.reading(scope) as unit:
            batch = await queries.own_conversations(unit, scope.user_id, after)
        if not batch:
            return
        for row in batch:
            async with database.reading(scope) as unit:
                told = await conversations.listed(unit, row)
                messages = await conversation_queries.messages(unit, row.id)
                told["messages"] = [await conversations.message_listed(unit, message) for message in messages]
            await asyncio.to_thread(archive.writestr, f"{folder}/conversations/{row.id}.json", _json(told))
        after = batch[-1].id


async def _files(archive: zipfile.ZipFile, database: Database, library: Library, scope: Scope) -> None:
    known: list[dict[str, Any]] = []
    listing = file_queries.Listing(scope.organization_id, scope.user_id)
    after, more = None, True
    while more:
        async with database.reading(scope) as unit:
            batch, more = await file_queries.page(unit, listing, Window(queries.BATCH, after, newest_first=False))
            known += [await library.listed(unit, row) for row in batch]
        for row in batch:
            await _content(archive, database, library, scope, row)
            after = (row.created_at, row.id)
    await asyncio.to_thread(archive.writestr, f"{scope.organization_id}/files.json", _json(known))


async def _content(archive: zipfile.ZipFile, database: Database, library: Library, scope: Scope, row: File) -> None:
    """One file; of one that cannot be read there is what could be, and `files.json` or the log says why."""
    with archive.open(f"{scope.organization_id}/files/{row.id}", "w", force_zip64=True) as entry:
        try:
            async with database.reading(scope) as unit:
                content = await library.content(unit, row)
            async for part in content:
                await asyncio.to_thread(entry.write, part)
        except Unreadable as error:
            log.warning("the file %s cannot be exported: %s", row.id, error.message)


async def _elsewhere(database: Database, conversations: Conversations, scope: Scope) -> list[bytes]:
    lines: list[bytes] = []
    after = ""
    while True:
        async with database.reading(scope) as unit:
            batch = await queries.messages_elsewhere(unit, scope.user_id, after)
            lines += [orjson.dumps(await conversations.message_listed(unit, row)) for row in batch]
        if not batch:
            return lines
        after = batch[-1].id


def _json(value: Any) -> bytes:  # noqa: ANN401  any JSON
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=_shown)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError


def _now() -> str:
    return datetime.now(UTC).isoformat()
