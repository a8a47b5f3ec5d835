"""New people: where they belong, and everything that is written when they come, whatever way they sign in."""

from dataclasses import dataclass

from api.audit.record import record
from api.context import Context
from api.db import accounts, logins, organizations, privacy
from api.db.session import Database, Unit, acting
from api.identity.registration import Rule
from api.ids import new_id
from api.principal import Principal
from api.privacy.documents import Document
from api.roles import BUILT_IN, MEMBER, OWNER
from api.scope import DEFAULT_ORGANIZATION, Scope
from configs.errors import BadRequest, Conflict, Forbidden

FIRST_ADMIN = "first_admin"
BAD_LINK = "This link is not valid any more: ask for a new one."


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who wants an account; `proof` is the digest of an invitation or of the first admin's link."""

    email: str | None
    name: str
    proof: bytes | None
    user_agent: str
    accepted: tuple[Document, ...] = ()
    """Documents that were shown and agreed to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a newcomer belongs, and whether the way they came proves their address."""

    organization_id: str
    role: str
    proves_email: bool = False


async def place_of(database: Database, newcomer: Newcomer, rule: Rule) -> Place:
    """The newcomer's place.

    Raises:
        Forbidden: nobody, or only invited people, may register here.
        BadRequest: the invitation or link is used, over, or another's.
    """
    if newcomer.proof is None:
        if rule == "open":
            return Place(DEFAULT_ORGANIZATION, MEMBER)
        texts = {"closed": "Nobody can register here.", "invite": "Registering here needs an invitation."}
        raise Forbidden(f"{texts[rule]} An admin of this installation can let you in.")
    async with database.unit() as unit:
        return await _proven_place(unit, newcomer.proof, newcomer.email)


async def accept(unit: Unit, context: Context, proof: bytes, principal: Principal) -> Place:
    """Let a signed-in person into an organization by an invitation, in a unit of work of theirs.

    Raises:
        BadRequest: the invitation is used, over, or another's, or there is no such role any more.
        Conflict: they are a member already; the invitation can still be used.
    """
    assert principal.user_id is not None
    person = await logins.find(unit, "user", principal.user_id)
    assert person is not None
    place = await _proven_place(unit, proof, person["email"])
    async with acting(unit, Scope(place.organization_id, principal.user_id), principal.scope):
        await _check_role(unit, place)
        if not await accounts.join(unit, place.organization_id, principal.user_id, place.role):
            raise Conflict("You are a member of this organization already.")
        await _use_proof(unit, proof)
        await record(
            unit,
            context,
            "invitation.accept",
            organization_id=place.organization_id,
            target=principal.user_id,
            role=place.role,
        )
    return place


async def _proven_place(unit: Unit, proof: bytes, email: str | None) -> Place:
    digest = proof.hex()
    token = await logins.find(unit, "token", digest)
    invitation = await logins.find(unit, "invitation", digest)
    if token is not None and token["good"] and token["purpose"] == FIRST_ADMIN:
        return Place(DEFAULT_ORGANIZATION, OWNER)
    if invitation is None or not invitation["good"] or invitation["email"] not in (None, email):
        raise BadRequest("This invitation is not valid: it is used, over, or for another address.", param="invitation")
    return Place(invitation["organization_id"], invitation["role"], invitation["email"] is not None)


async def settle(
    unit: Unit,
    context: Context,
    newcomer: Newcomer,
    place: Place,
    user_id: str,
    *,
    password_hash: str | None,
    email_verified: bool,
) -> None:
    """Use the proof up and write the person down; the unit's scope is that of the place and the person.

    Raises:
        BadRequest: somebody else used the proof meanwhile, or the role is no more.
        Conflict: the address has an account.
    """
    await _use_proof(unit, newcomer.proof)
    await _check_role(unit, place)
    await accounts.add(
        unit,
        user_id=user_id,
        email=newcomer.email,
        name=newcomer.name,
        password_hash=password_hash,
        email_verified=email_verified,
    )
    await accounts.join(unit, place.organization_id, user_id, place.role)
    for shown in newcomer.accepted:
        await privacy.keep_document(unit, shown.name, shown.version, shown.text)
        await privacy.add_consent(unit, new_id("cons"), user_id, shown.name, shown.version, given=True)
    await record(
        unit,
        context,
        "user.register",
        organization_id=place.organization_id,
        actor=user_id,
        target=user_id,
        role=place.role,
    )


async def _check_role(unit: Unit, place: Place) -> None:
    if place.role not in BUILT_IN and not await organizations.keeps_role(unit, place.organization_id, place.role):
        raise BadRequest(BAD_LINK, param="invitation")


async def _use_proof(unit: Unit, digest: bytes | None) -> None:
    if digest is None:
        return
    invitation = await logins.find(unit, "invitation", digest.hex())
    if invitation is not None:
        used = await accounts.use_invitation(unit, invitation["id"])
    else:
        used = await accounts.use_token(unit, digest, FIRST_ADMIN)
    if not used:
        raise BadRequest(BAD_LINK, param="invitation")
