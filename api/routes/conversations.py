"""Conversations and their messages: trees that belong to people, and may be shared with a team."""

from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.conversations import NewMessage, check_version, require_person
from api.db import conversations as queries
from api.db import teams as team_queries
from api.db.session import Unit
from api.db.tables import Conversation
from api.db.windows import Window
from api.documents import takes
from api.idempotency import once
from api.pages import After, Limit, page, part
from api.policy import caller, guarded_router, requires
from api.principal import Permission, Principal
from api.services import services_of
from api.validation import Wire, read
from configs.errors import BadRequest, Forbidden, NotFound

router = guarded_router()

Id = Annotated[str, Field(min_length=1, max_length=64)]
Title = Annotated[str, Field(max_length=500)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Part = dict[str, Any]
NO_CONVERSATION, NO_MESSAGE = "There is no such conversation.", "There is no such message."


class ConversationRequest(Wire):
    """A new conversation."""

    title: Title = ""
    team_id: Id | None = None
    project_id: Id | None = None


class ChangeConversationRequest(Wire):
    """What is to be another; `version` is the one that was read. A null `team_id` ends the sharing."""

    version: Version
    title: Title | None = None
    archived: bool | None = None
    team_id: Id | None = None
    project_id: Id | None = None
    current_message_id: Id | None = None


class MessageRequest(Wire):
    """A message. Without `parent_id` it goes below the current one; with null it begins the tree anew."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    tool_calls: list[Part] | None = None
    tool_call_id: Annotated[str, Field(max_length=256)] | None = None
    metadata: dict[str, Any] | None = None
    parent_id: Id | None = None
    model: Annotated[str, Field(max_length=256)] | None = None


class ChangeMessageRequest(Wire):
    """Other content of a message; `version` is the one that was read."""

    version: Version
    content: str | list[Part] | None = None
    metadata: dict[str, Any] | None = None


CONTENT = ("content", "tool_calls", "tool_call_id", "metadata")


@router.get("/api/conversations", tags=["Conversations"])
@requires(Permission.CONVERSATIONS_READ)
async def list_conversations(
    request: Request,
    limit: Limit = 20,
    after: After = None,
    team_id: After = None,
    project_id: After = None,
    archived: bool | None = None,
) -> Response:
    """The caller's own, the one changed last first; with `team_id` those shared with a team."""
    principal, services = caller(request), services_of(request)
    require_person(principal.scope)
    listing = queries.Listing(
        principal.organization_id, principal.scope.user_id, team_id=team_id, project_id=project_id, archived=archived
    )
    async with services.database.unit(principal.scope) as unit:
        rows, more = await queries.page(unit, listing, Window(limit, after))
        return part([await services.conversations.listed(unit, row) for row in rows], more=more)


@router.post("/api/conversations", tags=["Conversations"], status_code=201, openapi_extra=takes(ConversationRequest))
@requires(Permission.CONVERSATIONS_WRITE)
async def create_conversation(request: Request) -> Response:
    """Begin one."""
    principal, services = caller(request), services_of(request)
    require_person(principal.scope)
    context = context_of(request.scope)
    asked = read(ConversationRequest, context)

    async def effect(unit: Unit) -> dict[str, Any]:
        await _check_places(unit, principal, asked.team_id, asked.project_id)
        row = await services.conversations.create(
            unit, principal.scope, asked.title, team_id=asked.team_id, project_id=asked.project_id
        )
        if row.team_id is not None:
            await record(unit, context, "conversation.share", target=row.id, team=row.team_id)
        return await services.conversations.told(unit, row)

    return await once(request, effect)


@router.get("/api/conversations/{conversation_id}", tags=["Conversations"])
@requires(Permission.CONVERSATIONS_READ)
async def get_conversation(request: Request, conversation_id: str) -> Response:
    """One conversation."""
    principal, services = caller(request), services_of(request)
    async with services.database.unit(principal.scope) as unit:
        return json_answer(await services.conversations.told(unit, await _found(unit, conversation_id)))


@router.patch(
    "/api/conversations/{conversation_id}", tags=["Conversations"], openapi_extra=takes(ChangeConversationRequest)
)
@requires(Permission.CONVERSATIONS_WRITE)
async def change_conversation(request: Request, conversation_id: str) -> Response:
    """Change its title, its places or where it stands."""
    principal, services = caller(request), services_of(request)
    context = context_of(request.scope)
    asked = read(ChangeConversationRequest, context)
    given = asked.model_fields_set
    async with services.database.unit(principal.scope) as unit:
        row = await _found(unit, conversation_id, for_update=True)
        check_version(row, asked.version)
        if given & {"team_id", "archived", "project_id"}:
            _require_owner(row, principal)
        await _check_places(unit, principal, asked.team_id, asked.project_id)
        if "team_id" in given and asked.team_id != row.team_id:
            before = row.team_id
            await services.conversations.share(unit, row, asked.team_id)
            if before is not None:
                await record(unit, context, "conversation.unshare", target=row.id, team=before)
            if asked.team_id is not None:
                await record(unit, context, "conversation.share", target=row.id, team=asked.team_id)
            row = await _found(unit, conversation_id)
        values = await _changes(request, unit, row, asked)
        return json_answer(await services.conversations.told(unit, await queries.change(unit, row.id, **values)))


@router.delete("/api/conversations/{conversation_id}", tags=["Conversations"])
@requires(Permission.CONVERSATIONS_WRITE)
async def remove_conversation(request: Request, conversation_id: str) -> Response:
    """Remove it with all its messages."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        _require_owner(await _found(unit, conversation_id, for_update=True), principal)
        await queries.remove(unit, conversation_id)
    return json_answer({"id": conversation_id, "object": "conversation", "deleted": True})


@router.get("/api/conversations/{conversation_id}/messages", tags=["Conversations"])
@requires(Permission.CONVERSATIONS_READ)
async def list_messages(request: Request, conversation_id: str, limit: Limit = 100, after: After = None) -> Response:
    """All branches, every parent before its children."""
    principal, services = caller(request), services_of(request)
    async with services.database.unit(principal.scope) as unit:
        await _found(unit, conversation_id)
        rows = await queries.messages(unit, conversation_id, limit=limit + 1, after=after)
        return page([await services.conversations.message_listed(unit, row) for row in rows], limit)


@router.post(
    "/api/conversations/{conversation_id}/messages",
    tags=["Conversations"],
    status_code=201,
    openapi_extra=takes(MessageRequest),
)
@requires(Permission.CONVERSATIONS_WRITE)
async def add_message(request: Request, conversation_id: str) -> Response:
    """Add a message; another child of the same parent is another branch."""
    principal, services = caller(request), services_of(request)
    asked = read(MessageRequest, context_of(request.scope))

    async def effect(unit: Unit) -> dict[str, Any]:
        row = await _found(unit, conversation_id, for_update=True)
        parent_id = asked.parent_id if "parent_id" in asked.model_fields_set else row.current_message_id
        content = {name: getattr(asked, name) for name in CONTENT if getattr(asked, name) is not None}
        new = NewMessage(asked.role, content, parent_id, principal.scope.user_id, asked.model)
        return await services.conversations.message_told(unit, await services.conversations.add(unit, row, new))

    return await once(request, effect)


@router.patch(
    "/api/conversations/{conversation_id}/messages/{message_id}",
    tags=["Conversations"],
    openapi_extra=takes(ChangeMessageRequest),
)
@requires(Permission.CONVERSATIONS_WRITE)
async def change_message(request: Request, conversation_id: str, message_id: str) -> Response:
    """Correct a message where it stands. To keep the old one, add a sibling instead."""
    principal, services = caller(request), services_of(request)
    asked = read(ChangeMessageRequest, context_of(request.scope))
    async with services.database.unit(principal.scope) as unit:
        await _found(unit, conversation_id, for_update=True)
        row = await queries.message(unit, conversation_id, message_id)
        if row is None:
            raise NotFound(NO_MESSAGE, param="message_id")
        check_version(row, asked.version)
        before = await services.conversations.message_told(unit, row)
        kept = {name: before[name] for name in CONTENT if name in before}
        changed = {name: getattr(asked, name) for name in asked.model_fields_set - {"version"}}
        row = await services.conversations.rewrite(unit, row, {**kept, **changed}, principal.scope.user_id)
        await queries.change(unit, conversation_id)
        return json_answer(await services.conversations.message_told(unit, row))


@router.delete("/api/conversations/{conversation_id}/messages/{message_id}", tags=["Conversations"])
@requires(Permission.CONVERSATIONS_WRITE)
async def remove_message(request: Request, conversation_id: str, message_id: str) -> Response:
    """Remove a message with everything below it."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        conversation = await _found(unit, conversation_id, for_update=True)
        row = await queries.message(unit, conversation_id, message_id)
        if row is None:
            raise NotFound(NO_MESSAGE, param="message_id")
        await queries.remove_message(unit, message_id)
        current = conversation.current_message_id
        if current is not None and await queries.message(unit, conversation_id, current) is None:
            current = row.parent_id or await queries.newest(unit, conversation_id)
        await queries.change(unit, conversation_id, current_message_id=current)
    return json_answer({"id": message_id, "object": "message", "deleted": True})


async def _found(unit: Unit, conversation_id: str, *, for_update: bool = False) -> Conversation:
    row = await queries.get(unit, conversation_id, for_update=for_update)
    if row is None:
        raise NotFound(NO_CONVERSATION, param="conversation_id")
    return row


def _require_owner(row: Conversation, principal: Principal) -> None:
    if row.user_id != principal.user_id:
        raise Forbidden("Only the one who began a conversation may move or remove it.")


async def _check_places(unit: Unit, principal: Principal, team_id: str | None, project_id: str | None) -> None:
    if team_id is not None and not await team_queries.is_member(unit, team_id, principal.scope.user_id):
        raise NotFound("There is no such team.", param="team_id")
    if project_id is not None:
        projects = {project.id for project in await team_queries.all_projects(unit, principal.organization_id)}
        if project_id not in projects:
            raise NotFound("There is no such project.", param="project_id")


async def _changes(
    request: Request, unit: Unit, row: Conversation, asked: ChangeConversationRequest
) -> dict[str, object]:
    values: dict[str, object] = {}
    if asked.title is not None:
        values["title"] = await services_of(request).conversations.retitle(unit, row, asked.title)
    if asked.archived is not None:
        values["archived"] = asked.archived
    if "project_id" in asked.model_fields_set:
        values["project_id"] = asked.project_id
    if asked.current_message_id is not None:
        if await queries.message(unit, row.id, asked.current_message_id) is None:
            raise BadRequest(NO_MESSAGE, param="current_message_id")
        values["current_message_id"] = asked.current_message_id
    return values
