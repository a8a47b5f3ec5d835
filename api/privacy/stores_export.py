"""Vector stores in a person's export: each with its files and their attributes, opened. Texts are in the files."""

import asyncio
import logging
import zipfile
from typing import Any

import orjson

from api.db import store_files as file_queries
from api.db import vector_stores as queries
from api.db.privacy import BATCH
from api.db.session import Database
from api.db.tables import VectorStore
from api.db.windows import Window
from api.knowledge.store_files import StoreFiles
from api.knowledge.stores import Stores
from api.scope import Scope
from configs.errors import Unreadable

log = logging.getLogger(__name__)


class StoresExport:
    """What writes `<organization>/vector_stores.json`."""

    def __init__(self, database: Database, stores: Stores, files: StoreFiles) -> None:
        self._database = database
        self._stores = stores
        self._files = files

    async def write(self, archive: zipfile.ZipFile, scope: Scope) -> None:
        """A list of stores, oldest first, written as it is read: a store may have very many files.

        Raises:
            Unavailable: the database is down.
        """
        after, between = None, b""
        with archive.open(f"{scope.organization_id}/vector_stores.json", "w", force_zip64=True) as entry:
            entry.write(b"[")
            while True:
                window = Window(BATCH, after, newest_first=False)
                async with self._database.reading(scope) as unit:
                    rows, more = await queries.page(unit, scope.organization_id, scope.user_id, window)
                    told = await self._stores.listed(unit, rows)
                    indexes = await queries.indexes(unit, rows)
                for row, store in zip(rows, told, strict=True):
                    entry.write(between + orjson.dumps(store)[:-1] + b',"files":[')
                    await self._write_files(entry, scope, indexes[row.id])
                    entry.write(b"]}")
                    between = b","
                if not more:
                    break
                after = (rows[-1].created_at, rows[-1].id)
            entry.write(b"]")

    async def _write_files(self, entry: Any, scope: Scope, store: VectorStore) -> None:  # noqa: ANN401  zipfile names no type
        after, between = None, b""
        while True:
            window = Window(BATCH, after, newest_first=False)
            async with self._database.reading(scope) as unit:
                rows, more = await file_queries.page(unit, store.id, window)
                try:
                    told = await self._files.told(unit, store, rows)
                except Unreadable as error:
                    log.warning("the files of %s cannot be exported: %s", store.id, error.message)
                    return
            lines = b",".join(orjson.dumps(each) for each in told)
            if lines:
                await asyncio.to_thread(entry.write, between + lines)
                between = b","
            if not more:
                return
            after = (rows[-1].created_at, rows[-1].file_id)
