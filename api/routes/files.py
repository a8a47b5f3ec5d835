"""OpenAI's files: uploaded as a form, listed, read and deleted."""

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from api.answers import json_answer
from api.context import context_of
from api.db import files as queries
from api.db.session import Unit
from api.db.windows import Window
from api.documents import takes
from api.files.form import FORM, Form
from api.files.upload import body_of
from api.idempotency import once
from api.pages import After, part
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.services import services_of
from api.validation import checked
from configs.errors import Forbidden, Unauthorized

log = logging.getLogger(__name__)

router = guarded_router()

UPLOAD = "/v1/files"
DAY_S = 24 * 3600
EXPIRY = {"expires_after[anchor]": "anchor", "expires_after[seconds]": "seconds"}
Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
FileLimit = Annotated[int, Query(ge=1, le=10_000)]


class ExpiresAfter(BaseModel):
    """How long a file is kept after it was made."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=30 * DAY_S)]


class FileFields(BaseModel):
    """The form beside its file."""

    model_config = ConfigDict(extra="forbid")

    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class FileForm(FileFields):
    """What is sent as multipart/form-data."""

    file: Annotated[str, Field(json_schema_extra={"format": "binary"})]


@router.post(UPLOAD, tags=["OpenAI"], openapi_extra=takes(FileForm, FORM.decode()))
@requires(Permission.FILES_WRITE)
async def upload(request: Request) -> Response:
    """Store a file. It is sealed as it arrives; only what was stored whole is there afterwards."""
    services, context, scope = services_of(request), context_of(request.scope), caller(request).scope
    library = services.library
    headers, limit = dict(request.scope["headers"]), library.limits.max_file_bytes
    form = Form(headers.get(b"content-type", b""), limit)
    async with library.arriving(scope, form, body_of(headers, request.receive, limit)) as arrival:
        asked = checked(FileFields, _nested(arrival.received.fields))
        # What an Idempotency-Key stands for is what was sent, not how the form was cut.
        await services.doorkeeper.admit(request.scope, Permission.FILES_WRITE)  # it may have been revoked meanwhile
        sent = [asked.model_dump(), arrival.received.filename, arrival.received.written.address.hex()]
        context.body = orjson.dumps(sent)

        async def effect(unit: Unit) -> dict[str, Any]:
            row = await library.create(unit, scope, arrival, asked.purpose, _end(asked.expires_after))
            return await library.told(unit, row)

        return await once(request, effect, json_answer)


@router.get("/v1/files", tags=["OpenAI"])
@requires(Permission.FILES_READ)
async def list_files(
    request: Request,
    limit: FileLimit = 10_000,
    after: After = None,
    order: Literal["asc", "desc"] = "desc",
    purpose: Purpose | None = None,
) -> Response:
    """The caller's files."""
    services, scope = services_of(request), caller(request).scope
    asked = queries.Listing(scope.organization_id, scope.user_id or None, purpose)
    async with services.database.unit(scope) as unit:
        rows, more = await queries.page(unit, asked, Window(limit, after, newest_first=order == "desc"))
        return part([await services.library.listed(unit, row) for row in rows], more=more)


@router.get("/v1/files/{file_id}", tags=["OpenAI"])
@requires(Permission.FILES_READ)
async def get_file(request: Request, file_id: str) -> Response:
    """One file."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        return json_answer(await services.library.told(unit, await services.library.found(unit, file_id)))


@router.delete("/v1/files/{file_id}", tags=["OpenAI"])
@requires(Permission.FILES_WRITE)
async def delete_file(request: Request, file_id: str) -> Response:
    """Delete a file and its content."""
    await services_of(request).library.remove(caller(request).scope, file_id)
    return json_answer({"id": file_id, "object": "file", "deleted": True})


@router.get("/v1/files/{file_id}/content", tags=["OpenAI"], response_class=StreamingResponse)
@requires(Permission.FILES_READ)
async def get_content(request: Request, file_id: str) -> Response:
    """The bytes of a file, as they were sent."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        row = await services.library.found(unit, file_id)
        name = (await services.library.told(unit, row))["filename"]
        content = await services.library.content(unit, row)
    first = await anext(content, b"")  # what cannot be read is told before the answer begins
    headers = {"content-length": str(row.size), "content-disposition": f"attachment; filename*=utf-8''{quote(name)}"}
    return StreamingResponse(_joined(request, first, content), 200, headers, "application/octet-stream")


async def _joined(request: Request, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Piece after piece, as long as the caller may read."""
    yield first
    async for piece in rest:
        try:
            await services_of(request).doorkeeper.admit(request.scope, Permission.FILES_READ)
        except (Unauthorized, Forbidden):
            log.info("a download was cut: its caller may not read any more")
            return  # the length was told, so the client sees that it is cut
        yield piece


def _nested(fields: Mapping[str, str]) -> dict[str, Any]:
    """`a[b]` as forms spell it, as an object in an object."""
    flat = {name: value for name, value in fields.items() if name not in EXPIRY}
    expiry = {EXPIRY[name]: value for name, value in fields.items() if name in EXPIRY}
    return {**flat, "expires_after": expiry} if expiry else flat


def _end(expires_after: ExpiresAfter | None) -> datetime | None:
    return None if expires_after is None else datetime.now(UTC) + timedelta(seconds=expires_after.seconds)
