"""Files as their people see them: sealed as they arrive, stored once per content and owner, opened on the way out.

A file belongs to the person who uploaded it, or to the organization whose key did. It knows no HTTP beyond the form.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.db import files as queries
from api.db.files import SealedName
from api.db.session import Database, Unit
from api.db.tables import File
from api.files.blobs import Blobs, new_blob_id
from api.files.form import Form
from api.files.upload import Received, take
from api.ids import new_timed_id
from api.scope import Scope
from api.vault.keys import DataKey, owner_of_caller
from api.vault.vault import Vault
from configs.errors import Conflict, NotFound, Unavailable, Unreadable
from configs.file_specs import FilesSpec
from configs.seal import aad_of, open_sealed, seal

log = logging.getLogger(__name__)

NO_FILE = "There is no such file."


@dataclass(slots=True)
class Arrival:
    """An upload that is whole, and has no row yet. `kept` once a row may name its bytes."""

    received: Received
    blob: str
    key: DataKey
    kept: bool = False


class Library:
    """What routes call."""

    def __init__(self, database: Database, vault: Vault, blobs: Blobs, limits: FilesSpec) -> None:
        self._database = database
        self._vault = vault
        self._blobs = blobs
        self.limits = limits

    @asynccontextmanager
    async def arriving(self, scope: Scope, form: Form, body: AsyncIterator[bytes]) -> AsyncIterator[Arrival]:
        """Take an upload in; when nothing names it at the end, nothing of it stays.

        Raises:
            BadRequest, PayloadTooLarge, BodyTimedOut, Unavailable: see `api.files.upload.take`.
        """
        async with self._database.unit(scope) as unit:
            key = await self._vault.key_for(unit, owner_of_caller(scope))
        blob = new_blob_id(time.time())
        arrival = Arrival(await take(form, body, self._blobs.begin(key, blob)), blob, key)
        try:
            yield arrival
        finally:
            if not arrival.kept:
                with contextlib.suppress(Unavailable):  # it is swept
                    await self._blobs.remove(blob)

    async def create(
        self, unit: Unit, scope: Scope, arrival: Arrival, purpose: str, expires_at: datetime | None
    ) -> File:
        """The file of an upload. Equal content of one owner is stored once.

        Raises:
            Conflict: the person or the organization would store more than they may.
            Unreadable: the key was destroyed while it arrived.
        """
        written, key = arrival.received.written, arrival.key
        await self._vault.check(unit, key)
        await queries.lock(unit, scope.organization_id)
        await self._check_quota(unit, scope, written.size)
        same = await queries.same(unit, scope.organization_id, key.id, written.address)
        arrival.kept = same is None  # whether the row is there is not known until the unit of work is over
        timed_id, made_at = new_timed_id("file")
        file_id = timed_id.replace("_", "-", 1)
        row = File(
            id=file_id,
            organization_id=scope.organization_id,
            user_id=scope.user_id or None,
            data_key_id=key.id,
            name=seal(key.key, arrival.received.filename.encode(), name_place(file_id, scope.organization_id)),
            purpose=purpose,
            size=written.size,
            digest=written.address,
            blob=same or arrival.blob,
            expires_at=expires_at,
            created_at=made_at,
        )
        await queries.add(unit, row)
        return row

    async def found(self, unit: Unit, file_id: str) -> File:
        """A file of the caller.

        Raises:
            NotFound: there is none of that id, or it is somebody else's, or its time is over.
        """
        row = await queries.get(unit, file_id)
        if row is None:
            raise NotFound(NO_FILE, param="file_id")
        return row

    async def content(self, unit: Unit, row: File) -> AsyncIterator[bytes]:
        """What reads the bytes of a file, part by part; that needs no unit of work any more.

        Raises:
            Unreadable: they are gone or were changed, or the key is gone.
        """
        return self._blobs.read(await self._vault.key(unit, row.data_key_id), row.blob, row.size)

    async def remove(self, scope: Scope, file_id: str) -> None:
        """Remove a file of the caller, and its bytes when no other file has the same.

        Raises:
            NotFound: see `found`.
        """
        async with self._database.unit(scope) as unit:
            row = await self.found(unit, file_id)
            await queries.lock(unit, row.organization_id)
            blob = await queries.remove(unit, row.id)
        if blob is not None:
            with contextlib.suppress(Unavailable):  # no row names it: it is swept
                await self._blobs.remove(blob)

    async def told(self, unit: Unit, row: File) -> dict[str, Any]:
        """OpenAI's file object.

        Raises:
            Unreadable: its key is gone, or the row was changed.
        """
        sealed = SealedName(row.id, row.organization_id, row.data_key_id, row.name)
        return {**_facts(row), "filename": await self._opened(unit, sealed)}

    async def listed(self, unit: Unit, row: File) -> dict[str, Any]:
        """A file among others: one that does not open has no name and says so."""
        try:
            return await self.told(unit, row)
        except Unreadable as error:
            log.warning("the file %s cannot be read: %s", row.id, error.message)
            return {**_facts(row), "filename": "", "status": "error", "status_details": error.message}

    async def name(self, unit: Unit, sealed: SealedName) -> str:
        """A file's name; nothing, and a line in the log, where it does not open."""
        try:
            return await self._opened(unit, sealed)
        except Unreadable as error:
            log.warning("the name of %s cannot be read: %s", sealed.file_id, error.message)
            return ""

    async def _opened(self, unit: Unit, sealed: SealedName) -> str:
        key = await self._vault.key(unit, sealed.data_key_id)
        return open_sealed(key.key, sealed.name, name_place(sealed.file_id, sealed.organization_id)).decode()

    async def _check_quota(self, unit: Unit, scope: Scope, size: int) -> None:
        own, everybody = await queries.stored(unit, scope.organization_id, scope.user_id or None)
        for used, limit, whose in (
            (own, self.limits.quota_bytes_per_user if scope.user_id else None, "your files"),
            (everybody, self.limits.quota_bytes, "the organization's files"),
        ):
            if limit is not None and used + size > limit:
                text = f"This needs {size} bytes; {whose} have {used} of {limit} bytes. Delete some first."
                raise Conflict(text, param="file")


def name_place(file_id: str, organization_id: str) -> bytes:
    """What the name of a file is bound to."""
    return aad_of("files", file_id, "name", organization_id)


def _facts(row: File) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.size,
        "created_at": int(row.created_at.timestamp()),
        "expires_at": int(row.expires_at.timestamp()) if row.expires_at else None,
        "purpose": row.purpose,
        "status": "processed",
        "status_details": None,
    }
