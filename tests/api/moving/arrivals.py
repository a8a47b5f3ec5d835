"""A place to move into: runs of the real thing, and what stands in the tables afterwards, opened."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from api.conversations import Conversations
from api.db import conversations as queries
from api.db.session import Database
from api.imports.records import Export, ImportedConversation, ImportedMessage, ImportedUser, Record
from api.moving.move import Wishes, move_in
from api.moving.report import Report
from api.scope import Scope
from api.vault.vault import Vault
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import ORGANIZATION, query


@dataclass
class Arrivals:
    """Moves records in, and reads what became of them."""

    server: EmbeddedPostgres
    database: Database
    vault: Vault
    told: list[int] = field(default_factory=list)

    async def move(self, records: Iterable[Record], wishes: Wishes | None = None, *, people: bool = True) -> Report:
        """One run."""
        export = Export("elsewhere", people, iter(records))
        return await move_in(
            self.database,
            self.vault,
            export,
            wishes or Wishes(),
            lambda report: self.told.append(report.messages_added),
        )

    def person(self, user_id: str, email: str, organization_id: str = ORGANIZATION) -> None:
        """Somebody who is here already."""
        query(
            self.server, "INSERT INTO organizations (id, name) VALUES (%s, 'o') ON CONFLICT DO NOTHING", organization_id
        )
        query(self.server, "INSERT INTO users (id, email, name) VALUES (%s, %s, 'Here')", user_id, email)
        query(self.server, "INSERT INTO memberships VALUES (%s, %s, 'member', now())", organization_id, user_id)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What the tables hold."""
        return query(self.server, statement, *values)

    def state(self) -> list[list[tuple[Any, ...]]]:
        """Everything that a run may change."""
        return [
            self.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
            for table in ("users", "memberships", "conversations", "messages", "imported", "data_keys")
        ]

    async def conversation(self, external_id: str) -> dict[str, Any]:
        """A conversation as its owner gets it; ids of messages are those there, where they were moved."""
        ((conversation_id, user_id),) = self.rows(
            "SELECT c.id, user_id FROM conversations c JOIN imported i ON i.row_id = c.id "
            "WHERE i.kind = 'conversation' AND i.external_id = %s",
            external_id,
        )
        moved = self.rows("SELECT row_id, split_part(external_id, E'\\n', 2) FROM imported WHERE kind = 'message'")
        names: dict[str | None, str] = dict(moved)
        opened, app = Conversations(self.vault), Database(self.server.urls.app_url)
        async with app.unit(Scope(ORGANIZATION, user_id)) as unit:
            row = await queries.get(unit, conversation_id)
            assert row is not None
            told = await opened.told(unit, row)
            messages = await queries.messages(unit, conversation_id)
            rows = [(each.seq, await opened.message_told(unit, each)) for each in messages]
        await app.close()
        return {
            **{key: told[key] for key in ("title", "archived", "version")},
            "current": names.get(told["current_message_id"]),
            "messages": {
                names.get(each["id"], each["id"]): (
                    names.get(each["parent_id"]), seq, each["branch"], each["role"], each["model"], each["content"],
                )
                for seq, each in rows
            },
        }  # fmt: skip


def person(external_id: str = "u1", email: str = "ann@example.com", **more: Any) -> ImportedUser:
    """A person of the other program."""
    values = {"name": "Ann", "password_hash": None, "role": "user", "active": True, "created_at": None, **more}
    return ImportedUser(external_id=external_id, email=email, **values)


def message(
    external_id: str, parent: str | None, *texts: str, role: str = "user", model: str | None = None
) -> ImportedMessage:
    """A message; its text is its id where none is given."""
    return ImportedMessage(external_id, parent, role, texts or (external_id,), model, None)


def conversation(
    *messages: ImportedMessage,
    external_id: str = "c1",
    owner: str | None = "u1",
    current: str | None = None,
    **more: Any,
) -> ImportedConversation:
    """A conversation; its last message is the current one where none is given."""
    values = {"title": "A title", "created_at": None, "updated_at": None, "archived": False, **more}
    shown = current or messages[-1].external_id
    return ImportedConversation(
        external_id=external_id, owner_external_id=owner, messages=messages, current_message_external_id=shown, **values
    )
