"""Copy, erasure, consents, retention and the documents that tell about them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.db import logins, organizations
from api.db import privacy as queries
from api.db import teams as team_queries
from api.db.notifications import notify
from api.db.session import Unit, acting
from api.documents import takes
from api.idempotency import once
from api.identity.members import check_change, check_holds_no_more
from api.identity.people import NO_USER, require_user
from api.identity.two_factor.recent import insist_on_password
from api.ids import new_id
from api.pages import whole
from api.policy import caller, guarded_router, public, requires
from api.principal import Permission, Principal
from api.privacy import retention
from api.privacy.documents import document, names
from api.privacy.export import export
from api.privacy.stores_export import StoresExport
from api.roles import OWNER
from api.scope import Scope
from api.services import services_of
from api.validation import Wire, read
from configs.errors import BadRequest, Conflict, NotFound

router = guarded_router()

CHUNK_BYTES = 256 * 1024
Short = Annotated[str, Field(min_length=1, max_length=64)]


class EraseRequest(Wire):
    """The password once more, where the account has one; else the person signed in within ten minutes."""

    password: Annotated[str, Field(min_length=1, max_length=256)] | None = None


class ConsentRequest(Wire):
    """Agreed to, or taken back."""

    document: Short
    version: Short
    given: bool


class RetentionRequest(Wire):
    """Days that a class is kept (null: on), and whether a hold keeps it whatever they say."""

    data_class: Literal["conversations", "usage", "sessions"]
    team_id: Short | None = None
    days: Annotated[int, Field(ge=1, le=36500)] | None = None
    hold: bool = False


@router.get("/api/auth/export", tags=["Privacy"])
@requires(Permission.ACCOUNT_FULL)
async def export_me(request: Request) -> Response:
    """Everything about the caller, as a zip."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    assert principal.user_id is not None
    async with services.database.unit(principal.scope) as unit:
        await record(unit, context, "user.export", target=principal.user_id)
    file = await export(
        services.database,
        services.conversations,
        services.library,
        StoresExport(services.database, services.stores, services.store_files),
        principal.user_id,
        principal.organization_id,
    )
    headers = {"content-disposition": f'attachment; filename="manta-export-{principal.user_id}.zip"'}
    return StreamingResponse(_chunks(file), 200, headers, "application/zip")


@router.post("/api/auth/erase", tags=["Privacy"], status_code=202, openapi_extra=takes(EraseRequest))
@requires(Permission.ACCOUNT_FULL)
async def erase_me(request: Request) -> Response:
    """Erase the caller: signed out at once, the key and all rows gone within a minute. There is no way back."""
    services, context = services_of(request), context_of(request.scope)
    password = read(EraseRequest, context).password
    person = await insist_on_password(services.database, services.accounts, context, password, "password")
    return await _erased(request, person)


@router.post("/api/users/{user_id}/erase", tags=["Privacy"], status_code=202)
@requires(Permission.USERS_WRITE)
async def erase_user(request: Request, user_id: str) -> Response:
    """Erase a member who belongs to no other organization, or who left this one and belongs to none."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        person = require_user(await logins.find(unit, "user", user_id))
        found = await organizations.member(unit, principal.organization_id, user_id)
        custom = await organizations.roles(unit, principal.organization_id)
        if found is None:
            await _check_left(unit, principal, person, custom)
        else:
            await check_change(unit, principal, user_id, found[1], custom)
    if len(person["memberships"]) > 1:
        raise Conflict("This person belongs to other organizations too: remove them from this one instead.")
    return await _erased(request, person)


@router.get("/api/auth/consents", tags=["Privacy"])
@requires(Permission.ACCOUNT)
async def list_consents(request: Request) -> Response:
    """What the caller agreed to, and took back."""
    principal = caller(request)
    assert principal.user_id is not None
    async with services_of(request).database.unit(principal.scope) as unit:
        rows = await queries.consents(unit, principal.user_id)
    return whole([_consent(row) for row in rows])


@router.post("/api/auth/consents", tags=["Privacy"], status_code=201, openapi_extra=takes(ConsentRequest))
@requires(Permission.ACCOUNT)
async def consent(request: Request) -> Response:
    """Agree to the version of a document that is shown now, or take an agreement back."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    asked = read(ConsentRequest, context)
    shown = document(asked.document, services.cluster.configuration.privacy)
    if asked.given and asked.version != shown.version:
        raise Conflict(f"The document is at version {shown.version} now: show that one first.", param="version")
    assert principal.user_id is not None
    user_id = principal.user_id

    async def effect(unit: Unit) -> dict[str, Any]:
        await queries.keep_document(unit, shown.name, shown.version, shown.text)
        await queries.add_consent(unit, new_id("cons"), user_id, asked.document, asked.version, given=asked.given)
        await record(unit, context, "consent.give" if asked.given else "consent.withdraw", target=asked.document)
        return _consent((await queries.consents(unit, user_id))[-1])

    return await once(request, effect)


@router.get("/api/legal", tags=["Privacy"])
@public
async def list_documents() -> Response:
    """The documents there are."""
    return whole([{"id": name, "object": "document"} for name in names()])


@router.get("/api/legal/{name}", tags=["Privacy"])
@public
async def get_document(request: Request, name: str) -> Response:
    """A document as the operator's fields make it (Markdown)."""
    shown = document(name, services_of(request).cluster.configuration.privacy)
    return json_answer({"id": shown.name, "object": "document", "version": shown.version, "text": shown.text})


@router.get("/api/admin/retention", tags=["Privacy"])
@requires(Permission.PRIVACY_WRITE)
async def list_rules(request: Request) -> Response:
    """How long each class is kept: the organization's own rules, and defaults where it has none."""
    services, principal = services_of(request), caller(request)
    async with services.database.unit(principal.scope) as unit:
        own = await queries.rules(unit, principal.organization_id)
    return whole([_rule(rule) for rule in retention.effective(services.cluster.configuration.privacy.retention, own)])


@router.put("/api/admin/retention", tags=["Privacy"], openapi_extra=takes(RetentionRequest))
@requires(Permission.PRIVACY_WRITE)
async def put_rule(request: Request) -> Response:
    """Set how long a class is kept, for the organization or (conversations) for a team."""
    context, principal = context_of(request.scope), caller(request)
    asked = read(RetentionRequest, context)
    async with services_of(request).database.unit(principal.scope) as unit:
        if asked.team_id is not None:
            if asked.data_class not in retention.BY_TEAM:
                raise BadRequest("Only conversations belong to teams.", param="team_id")
            if await team_queries.get(unit, principal.organization_id, asked.team_id) is None:
                raise NotFound("There is no such team.", param="team_id")
        await queries.put_rule(
            unit, principal.organization_id, asked.team_id or "", asked.data_class, asked.days, hold=asked.hold
        )
        await record(
            unit,
            context,
            "retention.write",
            target=asked.data_class,
            team=asked.team_id or "",
            days=asked.days,
            hold=asked.hold,
        )
    return json_answer(_rule(retention.Rule(asked.data_class, asked.team_id or "", asked.days, asked.hold, own=True)))


async def _erased(request: Request, person: dict[str, Any]) -> Response:
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    user_id, order = person["user_id"], new_id("era")
    home = Scope(principal.organization_id, user_id)
    async with services.database.unit(home) as unit:
        for organization_id in sorted(each["organization_id"] for each in person["memberships"]):
            async with acting(unit, Scope(organization_id, user_id), home):
                await _check_not_last(unit, organization_id, user_id)
        await record(unit, context, "user.erase", target=user_id)
        await queries.ask_for_erasure(unit, order, principal.organization_id, user_id, person["email"] or "")
        await notify(unit, logins.CHANNEL)
        await notify(unit, queries.CHANNEL)
    services.doorkeeper.forget()
    return json_answer({"id": order, "object": "erasure", "user_id": user_id}, 202)


async def _check_left(
    unit: Unit, principal: Principal, person: dict[str, Any], custom: Mapping[str, Sequence[str]]
) -> None:
    """Whom no organization has is erased by one that they left, or by who runs the installation."""
    role = await organizations.former_role(unit, principal.organization_id, person["user_id"])
    theirs = role is not None or principal.may(Permission.ORGANIZATIONS_WRITE)
    if not theirs or person["memberships"] or person["status"] == "erased":
        raise NotFound(NO_USER, param="user_id")
    if role is not None:
        check_holds_no_more(principal, role, custom)


async def _check_not_last(unit: Unit, organization_id: str, user_id: str) -> None:
    """In the unit of work that orders the erasure: of two owners who erase themselves at once, one is the last."""
    found = await organizations.member(unit, organization_id, user_id)
    is_owner = found is not None and found[1] == OWNER
    if is_owner and not await organizations.other_owners(unit, organization_id, user_id, OWNER):
        raise Conflict("This is the last owner of an organization: make somebody else an owner first.")


def _consent(row: Any) -> dict[str, Any]:  # noqa: ANN401  a row
    return {
        "id": row.id,
        "object": "consent",
        "document": row.document,
        "version": row.version,
        "given": row.given,
        "created_at": row.created_at.isoformat(),
    }


def _rule(rule: retention.Rule) -> dict[str, Any]:
    return {
        "id": f"{rule.data_class}:{rule.team_id}" if rule.team_id else rule.data_class,
        "object": "retention_rule",
        "data_class": rule.data_class,
        "team_id": rule.team_id or None,
        "days": rule.days,
        "hold": rule.hold,
        "own": rule.own,
    }


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
