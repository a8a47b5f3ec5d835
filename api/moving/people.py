"""People of the other program as people here. Nobody who is here already is taken over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from api.audit.record import record
from api.db import imports
from api.db.imports import Origin
from api.db.session import Unit
from api.ids import new_id
from api.imports.records import ImportedUser, Skipped, Unfit
from api.moving.report import Report
from api.roles import MEMBER
from configs.errors import BadRequest

KIND = "user"
STRONG_THERE = "admin"
TAKEN = "somebody with this e-mail address is here already: `--map {email}={email}` gives them the conversations"


@dataclass(frozen=True)
class Destination:
    """Where what is moved goes: an organization, and people who are there already.

    `to` owns what nobody owns in the file; `mapped` gives for an address there the person here. Both hold ids.
    """

    organization_id: str
    to: str | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)


async def destination(session: Unit, organization_id: str, to: str | None, mapped: Mapping[str, str]) -> Destination:
    """Find the people who are named by their addresses.

    Raises:
        BadRequest: there is no such organization, or no such person in it.
    """
    if not await imports.organization_exists(session, organization_id):
        raise BadRequest(f"there is no organization {organization_id!r}")
    owner = await _member(session, organization_id, to) if to is not None else None
    here = {there.lower(): await _member(session, organization_id, email) for there, email in mapped.items()}
    return Destination(organization_id, owner, here)


async def _member(session: Unit, organization_id: str, email: str) -> str:
    found = await imports.person(session, email=email.strip().lower())
    if found is None or not await imports.is_member(session, organization_id, found.id):
        raise BadRequest(f"nobody with the address {email!r} belongs to the organization {organization_id!r}")
    return found.id


class People:
    """Who here is who there."""

    def __init__(self, origin: Origin, destination: Destination, report: Report) -> None:
        self._origin = origin
        self._destination = destination
        self._report = report
        self._here: dict[str, str] = {}
        self._why_not: dict[str, str] = {}

    def owner(self, external_id: str | None) -> str:
        """The id of the person here who owns what that one owns there.

        Raises:
            Unfit: there is none.
        """
        if external_id is None and self._destination.to is not None:
            return self._destination.to
        if external_id is not None and external_id in self._here:
            return self._here[external_id]
        raise Unfit(self._why_not.get(external_id or "", "its owner is not in the file"))

    async def take(self, session: Unit, user: ImportedUser) -> None:
        """Find the person, or add them."""
        try:
            self._here[user.external_id] = await self._found_or_added(session, user)
        except Unfit as unfit:
            self._why_not[user.external_id] = "its owner was not moved"
            self._report.skip(Skipped(KIND, user.external_id, unfit.why))

    async def _found_or_added(self, session: Unit, user: ImportedUser) -> str:
        if user.email in self._destination.mapped:
            self._report.users_unchanged += 1
            return self._destination.mapped[user.email]
        before = await imports.known(session, self._origin, KIND, [user.external_id])
        if user.external_id in before:
            return await self._still_here(session, before[user.external_id])
        return await self._added(session, user)

    async def _still_here(self, session: Unit, user_id: str) -> str:
        organization_id = self._destination.organization_id
        found = await imports.person(session, user_id=user_id)
        if found is None or found.status == "erased" or not await imports.is_member(session, organization_id, user_id):
            raise Unfit("was moved before, and has left since")
        self._report.users_unchanged += 1
        return user_id

    async def _added(self, session: Unit, user: ImportedUser) -> str:
        user_id = new_id("user")
        if self._report.dry_run:
            if await imports.person(session, email=user.email) is not None:
                raise Unfit(TAKEN.format(email=user.email))
        else:
            values = {
                "id": user_id,
                "email": user.email,
                "name": user.name,
                "password_hash": user.password_hash,
                "status": "active" if user.active else "disabled",
                "created_at": user.created_at or datetime.now(UTC),
            }
            if not await imports.add_person(session, self._destination.organization_id, MEMBER, values):
                raise Unfit(TAKEN.format(email=user.email))
            await imports.remember(session, self._origin, KIND, user.external_id, user_id)
            await record(
                session,
                None,
                "user.import",
                organization_id=self._destination.organization_id,
                target=user_id,
                source=self._origin.source,
            )
        self._report.users_added += 1
        self._tell_changes(user)
        return user_id

    def _tell_changes(self, user: ImportedUser) -> None:
        if user.password_hash is None:
            why = "no hash that can be kept (bcrypt, cost 4 to 14): a new one must be set"
            self._report.skip(Skipped("password", user.external_id, why))
        if user.role == STRONG_THERE:
            self._report.skip(
                Skipped("role", user.external_id, f"{STRONG_THERE} there, {MEMBER} here: give it by hand")
            )
