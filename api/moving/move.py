"""A whole file: people first, then conversations, each in a unit of work of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from api.audit.record import record
from api.db import imports
from api.db.imports import Origin
from api.db.session import Database
from api.imports.records import Export, ImportedConversation, ImportedUser, Record, Skipped, Unfit
from api.moving.conversations import KIND, Conversations
from api.moving.people import People, destination
from api.moving.report import Report
from api.scope import DEFAULT_ORGANIZATION, Scope
from api.vault.vault import Vault
from configs.errors import BadRequest


@dataclass(frozen=True)
class Wishes:
    """What the operator asked for. People here are named by their e-mail addresses."""

    organization_id: str = DEFAULT_ORGANIZATION
    to: str | None = None
    """Who gets the conversations of a file that does not say whose they are."""
    mapped: Mapping[str, str] = field(default_factory=dict)
    """Addresses here, by addresses there."""
    dry_run: bool = False


async def move_in(
    database: Database, vault: Vault, export: Export, wishes: Wishes, told: Callable[[Report], None]
) -> Report:
    """Move a file in. `database` works in the role of jobs; `told` hears of the counts after each thing.

    What was done before an error stays: the next run goes on there.

    Raises:
        BadRequest: a person or organization that is named is not there, or `to` is missing or out of place.
        Unavailable: the database cannot be reached.
    """
    _refuse_unclear(export, wishes)
    scope = Scope(wishes.organization_id)
    async with database.unit(scope) as session:
        goal = await destination(session, wishes.organization_id, wishes.to, wishes.mapped)
    origin, report = Origin(wishes.organization_id, export.source), Report(export.source, wishes.dry_run)
    mover = _Mover(database, People(origin, goal, report), Conversations(origin, vault, report), report)
    for entry in export.records:
        await mover.take(scope, entry)
        told(report)
    if not wishes.dry_run:
        async with database.unit(scope) as session:
            await record(
                session,
                None,
                "import.run",
                organization_id=wishes.organization_id,
                target=export.source,
                skipped=sum(group.count for group in report.skipped.values()),
                counts=report.counts(),
            )
    return report


class _Mover:
    """Opens a unit of work for each thing, and notes what cannot be moved."""

    def __init__(self, database: Database, people: People, conversations: Conversations, report: Report) -> None:
        self._database = database
        self._people = people
        self._conversations = conversations
        self._report = report

    async def take(self, scope: Scope, entry: Record) -> None:
        """Move one thing."""
        match entry:
            case Skipped():
                self._report.skip(entry)
            case ImportedUser():
                async with self._database.unit(scope) as session:
                    await self._people.take(session, entry)
            case ImportedConversation():
                await self._conversation(scope, entry)

    async def _conversation(self, scope: Scope, conversation: ImportedConversation) -> None:
        try:
            owner = self._people.owner(conversation.owner_external_id)
            async with self._database.unit(scope) as session:
                await imports.commit_without_waiting(session)
                await self._conversations.take(session, conversation, owner)
        except Unfit as unfit:
            self._report.skip(Skipped(KIND, conversation.external_id, unfit.why))


def _refuse_unclear(export: Export, wishes: Wishes) -> None:
    if export.names_people and wishes.to is not None:
        raise BadRequest(f"a file of {export.source} says whose each conversation is: use --map there=here, not --to")
    if not export.names_people and wishes.to is None:
        raise BadRequest(f"a file of {export.source} does not say whose it is: name the owner with --to EMAIL")
    if not export.names_people and wishes.mapped:
        raise BadRequest(f"a file of {export.source} names nobody: --map has no meaning for it")
