"""Row level security, with the application's own filters out of the way: plain SELECTs as the application's role."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.db import schema
from api.db.session import Database
from api.db.tables import Base
from api.scope import INSTALLATION, Scope
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query

WITHOUT_TENANT = {"models", "throttles", "ceremonies", "master_keys", "legal_documents"}
ADDED = (
    "INSERT INTO vector_stores (id, organization_id, user_id, data_key_id, about, embedding_model, dimensions)"
    " VALUES ('vs_x', 'org_one', 'user_one', 'k', 'x', 'm', 1)"
)
ONE, TWO = Scope("org_one", "user_one"), Scope("org_two", "user_two")


@pytest.fixture(scope="module", autouse=True)
def tenants(postgres: EmbeddedPostgres) -> None:
    for name in ("one", "two"):
        org, user = f"org_{name}", f"user_{name}"
        query(postgres, "INSERT INTO organizations (id, name) VALUES (%s, %s)", org, name)
        query(postgres, "INSERT INTO users (id, email) VALUES (%s, %s)", user, f"{name}@example.com")
        query(postgres, "INSERT INTO memberships VALUES (%s, %s, 'member')", org, user)
        query(postgres, "INSERT INTO roles VALUES (%s, 'custom', '{}')", org)
        query(
            postgres,
            "INSERT INTO conversations (id, organization_id, user_id, data_key_id, title)"
            " VALUES (%s, %s, %s, 'k', 'x')",
            f"conv_{name}", org, user,
        )  # fmt: skip
        query(
            postgres,
            "INSERT INTO messages (id, organization_id, conversation_id, seq, branch, role, data_key_id, content)"
            " VALUES (%s, %s, %s, 1, 0, 'user', 'k', 'x')",
            f"msg_{name}", org, f"conv_{name}",
        )  # fmt: skip

        query(
            postgres,
            "INSERT INTO files (id, organization_id, user_id, data_key_id, name, purpose, size, digest, blob)"
            " VALUES (%s, %s, %s, 'k', 'x', 'batch', 1, 'x', 'b')",
            f"file_{name}", org, user,
        )  # fmt: skip
        query(
            postgres,
            "INSERT INTO vector_stores (id, organization_id, user_id, data_key_id, about, embedding_model, dimensions)"
            " VALUES (%s, %s, %s, 'k', 'x', 'm', 1)",
            f"vs_{name}", org, user,
        )  # fmt: skip
        query(
            postgres,
            "INSERT INTO vector_store_file_batches (id, organization_id, user_id, vector_store_id)"
            " VALUES (%s, %s, %s, %s)",
            f"vsfb_{name}", org, user, f"vs_{name}",
        )  # fmt: skip
        query(
            postgres,
            "INSERT INTO vector_store_files (vector_store_id, file_id, organization_id, user_id, attributes,"
            " max_tokens, overlap_tokens) VALUES (%s, %s, %s, %s, 'x', 800, 400)",
            f"vs_{name}", f"file_{name}", org, user,
        )  # fmt: skip
        query(
            postgres,
            "INSERT INTO chunks (vector_store_id, id, file_id, organization_id, user_id, seq, number, content, vectors)"
            " VALUES (%s, 1, %s, %s, %s, 1, 0, 'x', 'x')",
            f"vs_{name}", f"file_{name}", org, user,
        )  # fmt: skip
        query(
            postgres,
            "INSERT INTO vector_store_changes (vector_store_id, seq, organization_id, chunk_ids)"
            " VALUES (%s, 1, %s, '{0}')",
            f"vs_{name}", org,
        )  # fmt: skip


@pytest.fixture
async def one_connection(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = Database(postgres.urls.app_url, pool_size=1)
    yield database
    await database.close()


async def seen(database: Database, scope: Scope | None, table: str, column: str = "id") -> list[str]:
    async with database.unit(scope) as session:
        return list(await session.scalars(text(f"SELECT {column} FROM {table} ORDER BY 1")))


def test_the_applications_role_is_powerless(postgres: EmbeddedPostgres) -> None:
    for role in ("manta_app", "manta_jobs"):
        ((*powers, owns),) = query(
            postgres,
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,"
            " EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) FROM pg_roles r WHERE rolname = %s",
            role,
        )
        assert powers == [False] * 5
        assert not owns
        others = query(
            postgres,
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
            " JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = %s",
            role,
        )
        assert others == []


def test_every_table_of_a_tenant_has_its_wall(postgres: EmbeddedPostgres) -> None:
    forced = {
        name for (name,) in query(postgres, "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    }
    assert forced == set(Base.metadata.tables) - WITHOUT_TENANT


async def test_a_unit_without_a_scope_sees_nothing(database: Database) -> None:
    for table in sorted(set(Base.metadata.tables) - WITHOUT_TENANT):
        try:
            async with database.unit() as session:
                assert await session.scalar(text(f'SELECT count(*) FROM "{table}"')) == 0, table
        except DBAPIError as error:
            raise AssertionError(table) from error


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("conversations", "id"),
        ("messages", "id"),
        ("users", "id"),
        ("roles", "organization_id"),
        ("organizations", "id"),
        ("vector_stores", "id"),
        ("vector_store_file_batches", "id"),
        ("vector_store_files", "vector_store_id"),
        ("chunks", "vector_store_id"),
        ("vector_store_changes", "vector_store_id"),
    ],
)
async def test_a_tenant_sees_its_own(one_connection: Database, table: str, column: str) -> None:
    mine, theirs = await seen(one_connection, ONE, table, column), await seen(one_connection, TWO, table, column)
    assert len(mine) == len(theirs) == 1
    assert mine != theirs
    assert await seen(one_connection, None, table, column) == []


async def test_nobody_writes_into_another_tenant(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.unit(ONE) as session:
            await session.execute(text("INSERT INTO roles VALUES ('org_two', 'mine', '{}')"))
    async with database.unit(ONE) as session:
        changed = await session.execute(text("UPDATE conversations SET archived = true RETURNING id"))
        assert [row.id for row in changed] == ["conv_one"]
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.unit(ONE) as session:
            await session.execute(text("UPDATE conversations SET organization_id = 'org_two'"))


async def test_a_store_is_its_persons_and_chunks_are_the_jobs(database: Database) -> None:
    colleague = Scope(ONE.organization_id, "user_two")
    for table in ("vector_stores", "vector_store_file_batches", "vector_store_files", "chunks"):
        assert await seen(database, colleague, table, "organization_id") == [], table
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.unit(colleague) as session:
            await session.execute(text(ADDED))
    async with database.unit(colleague) as session:
        for table in ("chunks", "vector_store_files"):
            gone = await session.execute(text(f"DELETE FROM {table} RETURNING file_id"))
            assert list(gone) == []
    for statement in (
        "INSERT INTO chunks SELECT * FROM chunks",
        "UPDATE chunks SET seq = 2",
        "DELETE FROM vector_store_changes",
        "SELECT remove_chunks('vs_two', 'file_two')",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.unit(ONE) as session:
                await session.execute(text(statement))


async def test_a_cancelled_unit_leaves_its_rights_to_nobody(one_connection: Database) -> None:
    """One pooled connection: cut in the middle of a statement, then used by another tenant and by nobody."""
    for _ in range(5):
        reached = asyncio.Event()

        async def slow(reached: asyncio.Event = reached) -> None:
            async with one_connection.unit(ONE) as session:
                reached.set()
                await session.execute(text("SELECT pg_sleep(5)"))

        task = asyncio.create_task(slow())
        await reached.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await seen(one_connection, TWO, "conversations") == ["conv_two"]
        assert await seen(one_connection, None, "conversations") == []


def test_the_audit_log_is_only_added_to(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.urls.app_url) as connection:
        connection.execute("SELECT set_config('manta.org', 'org_one', true)")
        call = "SELECT append_audit(%s, now(), 'a', 'b', 'c', 'ok', '', '', '{}')"
        assert connection.execute(call, ("org_one",)).fetchone() == (1,)
        assert connection.execute(call, ("org_one",)).fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(call, ("org_two",))
        for statement in (
            "INSERT INTO audit_log SELECT * FROM audit_log",
            "UPDATE audit_log SET action = 'x'",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
            "UPDATE audit_heads SET seq = 0",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(postgres, "DELETE FROM audit_log")


async def test_an_account_of_the_operators_becomes_the_roles_for_each_unit(postgres: EmbeddedPostgres) -> None:
    """A managed server gives one account: the walls stand for it as well, though it owns the tables."""
    for statement in (
        "CREATE ROLE managed LOGIN PASSWORD 'managed'",
        "GRANT manta_app, manta_jobs, manta_audit, manta_lookup TO managed WITH INHERIT FALSE, SET TRUE",
        "CREATE DATABASE managed OWNER managed",
    ):
        query(postgres, statement)
    url = postgres.urls.owner_url.replace("/manta?", "/managed?")
    url = f"postgresql://managed:managed@{url.partition('@')[2]}"
    await asyncio.to_thread(schema.upgrade, url)
    database = Database(url)
    async with database.unit(ONE) as session:
        assert await session.scalar(text("SELECT current_user")) == "manta_app"
        assert await session.scalar(text("SELECT count(*) FROM organizations")) == 0
    async with database.unit(INSTALLATION) as session:
        assert await session.scalar(text("SELECT count(*) FROM organizations")) == 1
    async with database.bare() as session:
        assert await session.scalar(text("SELECT current_user")) == "managed"
    await database.close()
