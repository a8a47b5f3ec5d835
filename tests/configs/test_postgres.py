import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from configs import postgres_cluster
from configs.accounts import by_uid
from configs.datadir import Layout
from configs.errors import ConfigurationError, Internal, TimedOut
from configs.postgres import EmbeddedPostgres
from configs.processes import Child
from tests.fixtures.data_dirs import held_layout, open_folder, run_as_nobody

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedPostgres]:
    """A server for tests that only look."""
    with open_folder() as root, held_layout(root / "sha'red \\dir") as layout, EmbeddedPostgres(layout) as server:
        yield server


@pytest.fixture
def server(held: Layout) -> Iterator[EmbeddedPostgres]:
    """A server of its own for a test that breaks it."""
    with EmbeddedPostgres(held) as running:
        yield running


def query(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def running(server: EmbeddedPostgres) -> Child:
    assert server.child is not None
    return server.child


def add_rows(server: EmbeddedPostgres, *names: str) -> None:
    query(server.urls.owner_url, "CREATE TABLE IF NOT EXISTS kept (name text)")
    for name in names:
        query(server.urls.owner_url, "INSERT INTO kept VALUES (%s)", name)


def rows(server: EmbeddedPostgres) -> list[str]:
    return [name for (name,) in query(server.urls.owner_url, "SELECT name FROM kept ORDER BY name")]


def restart(server: EmbeddedPostgres) -> None:
    server.start()
    server.wait_ready()


def test_every_role_reaches_the_database_by_its_url(shared: EmbeddedPostgres) -> None:
    urls = shared.urls
    for role, url in (("owner", urls.owner_url), ("app", urls.app_url), ("audit", urls.audit_url)):
        assert query(url, "SELECT current_user, current_database()") == [(f"manta_{role}", "manta")]
        parsed = make_url(url)
        assert parsed.query == {"host": str(shared._layout.postgres_socket_dir), "port": "5432"}
        assert parsed.password is not None
        assert parsed.password not in repr(urls)


def test_no_role_has_a_power_that_breaks_row_level_security(shared: EmbeddedPostgres) -> None:
    powers = "rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication"
    found = query(
        shared.urls.app_url, f"SELECT rolname, {powers} FROM pg_roles WHERE rolname LIKE 'manta%%' ORDER BY 1"
    )
    nothing = (False,) * 5
    assert found == [
        ("manta_app", *nothing),
        ("manta_audit", *nothing),
        ("manta_backup", False, False, False, False, True),
        ("manta_jobs", *nothing),
        ("manta_lookup", *nothing),
        ("manta_owner", *nothing),
        ("manta_root", *(True,) * 5),
    ]
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'manta'"
    assert query(shared.urls.app_url, owner) == [("manta_owner",)]
    members = (
        "SELECT member::regrole::text, roleid::regrole::text, inherit_option FROM pg_auth_members"
        " WHERE member::regrole::text LIKE 'manta_%' AND member::regrole::text <> 'manta_root' ORDER BY 2"
    )
    assert query(shared.urls.app_url, members) == [
        ("manta_owner", "manta_audit", False),
        ("manta_owner", "manta_lookup", False),
    ]


def test_the_application_may_only_do_what_it_was_granted(shared: EmbeddedPostgres) -> None:
    owner, app = shared.urls.owner_url, shared.urls.app_url
    query(
        owner,
        "CREATE TABLE granted (n int); CREATE TABLE withheld (n int); GRANT SELECT, INSERT ON granted TO manta_app",
    )
    query(app, "INSERT INTO granted VALUES (1)")
    assert query(app, "SELECT n FROM granted") == [(1,)]
    for refused in (
        "SELECT n FROM withheld",
        "DELETE FROM granted",
        "DROP TABLE granted",
        "ALTER TABLE granted DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE own (n int)",
        "CREATE SCHEMA own",
        "CREATE TEMPORARY TABLE own (n int)",
        "SET ROLE manta_owner",
        "SET SESSION AUTHORIZATION manta_root",
        "COPY granted TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
        "ALTER SYSTEM SET fsync = off",
        "CREATE ROLE friend",
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)):
            query(app, refused)


def test_row_level_security_holds_for_the_application(shared: EmbeddedPostgres) -> None:
    query(
        shared.urls.owner_url,
        "CREATE TABLE tenants (name text); INSERT INTO tenants VALUES ('a'), ('b');"
        "ALTER TABLE tenants ENABLE ROW LEVEL SECURITY; GRANT SELECT ON tenants TO manta_app;"
        "CREATE POLICY own ON tenants USING (name = 'a')",
    )
    assert query(shared.urls.app_url, "SELECT name FROM tenants") == [("a",)]


def test_only_the_database_of_ours_can_be_entered(shared: EmbeddedPostgres) -> None:
    for other in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            query(shared.urls.app_url.replace("/manta?", f"/{other}?"), "SELECT 1")


def test_nobody_enters_without_the_right_password(shared: EmbeddedPostgres) -> None:
    host, url = str(shared._layout.postgres_socket_dir), shared.urls.app_url
    for user in ("manta_app", "manta_owner", "manta_root", "postgres", "root"):
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(host=host, port=5432, user=user, dbname="manta")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host=host, port=5432, user=user, dbname="manta", password="manta")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(url.replace("manta_app:", "manta_owner:"), "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(url, replication="true")


def test_the_url_names_all_that_the_environment_could_change(
    shared: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "db.example.com", "PGUSER": "x", "PGPASSWORD": "x"}.items():
        monkeypatch.setenv(name, value)
    assert query(shared.urls.app_url, "SELECT 1") == [(1,)]
    assert shared.ready()
    shared.wait_ready()


def test_nothing_listens_but_a_private_socket(shared: EmbeddedPostgres) -> None:
    layout = shared._layout
    owner = layout.account.uid if layout.account else os.geteuid()
    server = psutil.Process(running(shared).pid)
    for process in (server, *server.children(recursive=True)):
        assert process.net_connections(kind="inet") == []
        assert process.uids().effective == owner
        assert process.username() == by_uid(owner).name
    assert layout.postgres_socket_dir.stat().st_mode & 0o777 == 0o700
    path = layout.postgres_socket_dir / ".s.PGSQL.5432"
    assert path.is_socket()
    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o700, owner)


def test_its_settings_keep_what_was_acknowledged(shared: EmbeddedPostgres) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "wal_level": "replica",
        "listen_addresses": "",
        "max_connections": "100",
        "shared_buffers": "8192",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
    }
    found = dict(query(shared.urls.app_url, "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", list(wanted)))
    assert found == wanted
    assert query(shared.urls.app_url, "SELECT upper('äöé'), 'B' < 'a'") == [("ÄÖÉ", True)]


def test_values_of_rows_and_parameters_are_not_logged(shared: EmbeddedPostgres) -> None:
    owner = shared.urls.owner_url
    query(owner, "CREATE TABLE people (mail text PRIMARY KEY, age int CHECK (age > 0))")
    query(owner, "INSERT INTO people VALUES ('canary1@example.com', 1)")
    for statement, value in (
        ("INSERT INTO people VALUES (%s, 1)", "canary1@example.com"),
        ("INSERT INTO people VALUES (%s, -1)", "canary2@example.com"),
        ("SELECT %s::text::uuid", "canary3"),
        ("SELECT 'canary4' FROM nowhere WHERE %s = ''", "canary5"),
    ):
        with pytest.raises(psycopg.Error):
            query(owner, statement, value)
    log = (shared._layout.logs / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "canary" not in log
    for path in shared._layout.secrets.iterdir():
        assert path.read_text() not in log


def test_stop_and_start_keep_the_data(server: EmbeddedPostgres) -> None:
    add_rows(server, "one", "two")
    first, urls = running(server), server.urls
    server.stop()
    assert not first.alive()
    assert first.exit_code() == 0
    assert server.child is None
    assert not server.ready()
    restart(server)
    assert rows(server) == ["one", "two"]
    assert server.urls == urls
    log = (server._layout.logs / "postgres.log").read_text()
    assert "not properly shut down" not in log


def test_committed_rows_survive_kill_9(server: EmbeddedPostgres) -> None:
    add_rows(server, "one")
    for name in ("two", "three"):
        with psycopg.connect(server.urls.owner_url) as unfinished:
            unfinished.execute("INSERT INTO kept VALUES ('unfinished')")
            add_rows(server, name)
            running(server).signal(SIGKILL)
            restart(server)
            with pytest.raises(psycopg.OperationalError):
                unfinished.commit()
    assert rows(server) == ["one", "three", "two"]


def test_backends_that_outlive_a_killed_server_are_ended(server: EmbeddedPostgres) -> None:
    add_rows(server, "one")
    with psycopg.connect(server.urls.owner_url) as connection:
        backend = Child.adopt("backend", connection.info.backend_pid)
        assert backend is not None
        backend.signal(SIGSTOP)  # it cannot notice that the server is gone, and keeps its shared memory in use
        running(server).signal(SIGKILL)
        assert running(server).wait(20)
        assert backend.alive()
        restart(server)
        assert not backend.alive()
    assert rows(server) == ["one"]


def test_a_crashed_backend_does_not_take_the_server_down(server: EmbeddedPostgres) -> None:
    add_rows(server, "one")
    with psycopg.connect(server.urls.owner_url) as connection:
        backend = Child.adopt("backend", connection.info.backend_pid)
        assert backend is not None
        backend.signal(SIGKILL)
        assert backend.wait(20)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.wait_ready()
    assert running(server).alive()
    assert rows(server) == ["one"]


def test_a_server_that_a_dead_launcher_left_is_replaced(held: Layout, server: EmbeddedPostgres) -> None:
    add_rows(server, "one")
    left = running(server)
    with EmbeddedPostgres(held) as another:
        assert not left.alive()
        assert rows(another) == ["one"]


def test_a_frozen_server_is_not_ready_and_is_ended_by_force(server: EmbeddedPostgres) -> None:
    add_rows(server, "one")
    frozen = running(server)
    frozen.signal(SIGSTOP)
    assert not server.ready()
    with pytest.raises(TimedOut, match="postgres was not ready within"):
        server.wait_ready(timeout_s=0)
    started = time.monotonic()
    server.stop(grace_s=0.2)
    assert not frozen.alive()
    assert time.monotonic() - started < 60
    frozen.signal(SIGCONT)
    restart(server)
    assert rows(server) == ["one"]


def test_a_pid_file_whose_pid_is_somebody_elses_now_does_not_block(server: EmbeddedPostgres) -> None:
    """Our own pid stands in it: alive, and of the same account when this is no root."""
    add_rows(server, "one")
    cluster, sockets = postgres_cluster.path(server._layout), server._layout.postgres_socket_dir
    pid_file = (cluster / "postmaster.pid").read_text()
    socket_lock = (sockets / ".s.PGSQL.5432.lock").read_text()
    real = str(running(server).pid)
    running(server).signal(SIGKILL)
    assert running(server).wait(20)
    bystander = Child.adopt("pytest", os.getpid())
    assert bystander is not None
    (cluster / "postmaster.pid").write_text(pid_file.replace(real, str(bystander.pid), 1))
    (sockets / ".s.PGSQL.5432.lock").write_text(socket_lock.replace(real, str(bystander.pid), 1))
    restart(server)
    assert rows(server) == ["one"]


def test_a_half_made_cluster_is_made_anew(held: Layout) -> None:
    draft = held.postgres / "new-1234"
    (draft / "data" / "base").mkdir(parents=True)
    (draft / "data" / "PG_VERSION").write_text("18\n")
    (draft / "password").write_text("known")
    with EmbeddedPostgres(held) as server:
        assert query(server.urls.app_url, "SELECT 1") == [(1,)]
    assert [entry.name for entry in held.postgres.iterdir()] == ["data"]


def test_an_initdb_that_a_dead_launcher_left_is_ended(held: Layout) -> None:
    draft = held.postgres / "new-5678"
    draft.mkdir()
    fake = draft / "initdb"  # its command line then names the draft, as the real one's does
    shutil.copy("/bin/sleep", fake)
    fake.chmod(0o755)
    stuck = Child.adopt("initdb", _spawn(held, fake, draft))
    assert stuck is not None
    with EmbeddedPostgres(held) as server:
        assert not stuck.alive()
        assert server.ready()
    assert not draft.exists()


def _spawn(layout: Layout, program: Path, draft: Path) -> int:
    from configs.processes import spawn

    child = spawn(
        "initdb",
        ["/bin/sh", "-c", 'exec "$0" 60', str(program)],
        cwd=draft,
        env={},
        stdout=layout.logs / "initdb.log",
        account=layout.account,
    )
    return child.pid


def test_a_failed_initdb_leaves_nothing_and_tells_why(held: Layout) -> None:
    server = EmbeddedPostgres(held)
    limited = os.environ | {}
    assert limited is not None
    held.postgres.chmod(0o500)
    if os.geteuid() == 0:
        pytest.skip("root is not stopped by modes")
    with pytest.raises(ConfigurationError, match="this user may not use it"):
        server.start()
    held.postgres.chmod(0o700)
    assert not any(held.postgres.iterdir())


@pytest.mark.parametrize("version", ["17\n", None])
def test_a_cluster_of_another_version_is_refused_and_left_alone(held: Layout, version: str | None) -> None:
    with EmbeddedPostgres(held) as server:
        pass
    marker = postgres_cluster.path(held) / "PG_VERSION"
    marker.unlink()
    if version:
        marker.write_text(version)
    with pytest.raises(
        ConfigurationError, match=r"was made by PostgreSQL (17|an unknown version), and this release runs 18"
    ):
        server.start()
    assert (postgres_cluster.path(held) / "base").is_dir()


def test_lost_secrets_are_told_apart_from_other_faults(held: Layout) -> None:
    with EmbeddedPostgres(held):
        pass
    (held.secrets / "postgres-manta_root").unlink()
    with pytest.raises(ConfigurationError, match="has not the secrets of this cluster"):
        EmbeddedPostgres(held).__enter__()


def test_a_role_password_can_be_changed_by_removing_its_secret(server: EmbeddedPostgres) -> None:
    old = server.urls.app_url
    (server._layout.secrets / "postgres-manta_app").unlink()
    restart(server)
    assert server.urls.app_url != old
    assert query(server.urls.app_url, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(old, "SELECT 1")


def test_powers_that_were_added_by_hand_are_taken_back(server: EmbeddedPostgres) -> None:
    with server._connect("postgres") as superuser:
        superuser.execute("ALTER ROLE manta_app SUPERUSER BYPASSRLS")
        superuser.execute("GRANT ALL ON DATABASE manta TO PUBLIC")
    restart(server)
    assert query(server.urls.app_url, "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user") == [
        (False, False)
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(server.urls.app_url, "CREATE SCHEMA own")


def test_hand_edits_of_the_access_rules_do_not_last(server: EmbeddedPostgres) -> None:
    server.stop()
    (postgres_cluster.path(server._layout) / "pg_hba.conf").write_text("local all all trust\n")
    restart(server)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=str(server._layout.postgres_socket_dir), port=5432, user="manta_root", dbname="manta")


def test_it_must_be_held(layout: Layout) -> None:
    for action in (EmbeddedPostgres(layout).start, EmbeddedPostgres(layout).stop):
        with pytest.raises(Internal, match="must be held"):
            action()


def test_start_comes_first(held: Layout) -> None:
    with pytest.raises(Internal, match="comes before"):
        EmbeddedPostgres(held).wait_ready()


def test_it_tells_why_it_does_not_start(held: Layout) -> None:
    server = EmbeddedPostgres(held, shared_buffers_mb=10**9)
    with pytest.raises(Internal, match=r"postgres ended while starting(?s:.*)shared_buffers"):
        server.__enter__()


def start_as_a_user() -> None:
    with open_folder() as root, held_layout(root / "da ta") as layout, EmbeddedPostgres(layout) as server:
        add_rows(server, "one")
        assert psutil.Process(running(server).pid).uids().effective == os.geteuid()
        # the pid of a process of the same user stands in a stale file: PostgreSQL alone would give up here
        running(server).signal(SIGKILL)
        assert running(server).wait(20)
        pid_file = postgres_cluster.path(layout) / "postmaster.pid"
        lines = pid_file.read_text().splitlines(keepends=True)
        bystander = Child.adopt("sleep", _bystander(layout))
        assert bystander is not None
        pid_file.write_text("".join([f"{bystander.pid}\n", *lines[1:]]))
        restart(server)
        assert rows(server) == ["one"]
        assert bystander.alive()
        bystander.terminate(5)


def _bystander(layout: Layout) -> int:
    from configs.processes import spawn

    return spawn("sleep", ["/bin/sleep", "60"], cwd=Path("/"), env={}, stdout=layout.logs / "sleep.log").pid


@pytest.mark.skipif(os.geteuid() != 0, reason="all the tests above run as an ordinary user already")
def test_it_runs_for_an_ordinary_user() -> None:
    run_as_nobody(start_as_a_user)
