"""The embedded PostgreSQL 18: one private cluster in the data directory, reached by a socket and passwords alone.

The launcher starts it and watches `child`; a command starts it for a moment when the stack is down (`with`). Everyone
else only gets the URLs. Knows no table. psycopg is imported inside functions, so that a launcher stays light.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from configs import accounts, files, postgres_cluster, postgres_settings, processes, procfs
from configs.datadir import Layout
from configs.errors import ConfigurationError, Internal, Unavailable
from configs.postgres_settings import APP, AUDIT, BACKUP, DATABASE, JOBS, OWNER, PORT, ROLES, SUPERUSER
from configs.processes import Child

if TYPE_CHECKING:
    from psycopg import Connection

_FAST_GRACE_S, _IMMEDIATE_GRACE_S = 20.0, 5.0


@dataclass(frozen=True)
class DatabaseUrls:
    """libpq URLs over the socket, one per role, for everyone who is not the launcher."""

    owner_url: str = field(repr=False)
    app_url: str = field(repr=False)
    audit_url: str = field(repr=False)
    jobs_url: str = field(repr=False)


class EmbeddedPostgres:
    """The cluster of one data directory. Whoever starts or stops it holds that directory (`Layout.hold`)."""

    def __init__(self, layout: Layout, *, max_connections: int = 100, shared_buffers_mb: int = 64) -> None:
        self.child: Child | None = None
        self._layout = layout
        self._max_connections = max_connections
        self._shared_buffers_mb = shared_buffers_mb
        self._cluster = postgres_cluster.path(layout)
        self._cluster_name = f"manta-{layout.short_id}"
        self._log = layout.logs / "postgres.log"

    @property
    def urls(self) -> DatabaseUrls:
        """How to reach it as each role. Needs no running server."""
        return DatabaseUrls(
            owner_url=self._url(OWNER),
            app_url=self._url(APP),
            audit_url=self._url(AUDIT),
            jobs_url=self._url(JOBS),
        )

    @property
    def backup_url(self) -> str:
        """How the role that may replicate reaches it; without a database, which it may not enter."""
        return self._url(BACKUP)

    @property
    def root_url(self) -> str:
        """How the superuser reaches the database: for backups and drills, which must see every row."""
        return self._url(SUPERUSER)

    def drop_slots(self) -> None:
        """Keep the log no longer for an archive that is not written any more."""
        from configs import postgres_roles

        with self._connect("postgres") as server:
            postgres_roles.drop_slots(server)

    def start(self) -> Child:
        """Start the server and return at once; what an earlier one left (processes, pid file, socket) is cleared first.

        The first call makes the cluster. It recovers by itself after a crash.

        Raises:
            ConfigurationError: the binaries are missing, the disk is full, or the cluster is of another version.
            Internal: initdb failed, or the directory is not held.
        """
        self._layout.require_hold()
        self.stop(grace_s=_FAST_GRACE_S)
        with files.disk_faults(self._cluster):
            postgres_cluster.ensure(self._layout, self._password(SUPERUSER))
            self._clear_stale_files()
            self._configure()
        self.child = processes.spawn(
            "postgres",
            [str(postgres_cluster.program("postgres", self._layout)), "-D", str(self._cluster)],
            cwd=self._layout.postgres,
            env=postgres_cluster.ENVIRONMENT,
            stdout=self._log,
            account=self._layout.account,
        )
        return self.child

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Block until it takes connections and its roles and database are in place.

        Raises:
            Internal: it ended instead; the message carries the end of its log.
            TimedOut: it is not ready in time (after a crash it may be recovering).
            ConfigurationError: the secrets are not those that the cluster was made with.
        """
        if self.child is None:
            msg = "start() comes before wait_ready()"
            raise Internal(msg)
        processes.wait_until(self.ready, self.child, timeout_s)
        self._ensure_roles()

    def ready(self) -> bool:
        """Whether it takes connections now. Waits two seconds at most, as a frozen server does not answer."""
        from psycopg import conninfo, pq

        where = conninfo.make_conninfo(host=self._host, port=PORT, user=APP, dbname=DATABASE, connect_timeout=2)
        return pq.PGconn.ping(where.encode()) == pq.Ping.OK

    def stop(self, grace_s: float = _FAST_GRACE_S) -> None:
        """End it: fast (transactions roll back, a checkpoint is written), then immediate, then by force.

        Finds the server by what runs, not by `child`, so that it also ends one that a dead launcher left behind.
        """
        self._layout.require_hold()
        for server in self._find("postgres", self._is_server):
            if server.signal(signal.SIGINT) and not server.wait(grace_s):
                server.terminate(_IMMEDIATE_GRACE_S, signal.SIGQUIT)
        for orphan in self._find("postgres", self._is_backend):
            orphan.terminate(_IMMEDIATE_GRACE_S, signal.SIGQUIT)
        self.child = None

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def _host(self) -> str:
        return str(self._layout.postgres_socket_dir)

    def _password(self, role: str) -> str:
        return self._layout.secret(f"postgres-{role}")

    def _url(self, role: str) -> str:
        """The port is named because $PGPORT would count otherwise."""
        password, host = quote(self._password(role), safe=""), quote(self._host, safe="")
        return f"postgresql://{role}:{password}@/{DATABASE}?host={host}&port={PORT}"

    def _find(self, program: str, matches: Callable[[bytes], bool]) -> list[Child]:
        account = self._layout.account or accounts.by_uid(os.geteuid())
        pids = procfs.find(program, account.uid, matches)
        return [child for pid in pids if (child := Child.adopt(program, pid))]

    def _is_server(self, command_line: bytes) -> bool:
        return command_line.endswith(b"\0-D\0" + os.fsencode(self._cluster) + b"\0")

    def _is_backend(self, command_line: bytes) -> bool:
        """By its title. Backends of a killed server live on until they notice, and keep its shared memory in use."""
        return command_line.startswith(f"postgres: {self._cluster_name}: ".encode())

    def _clear_stale_files(self) -> None:
        """No server of ours runs: the pid in these files may be anybody's by now, and would block the start."""
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self._layout.postgres_socket_dir.glob(".s.PGSQL.*"):
            leftover.unlink()

    def _configure(self) -> None:
        text = postgres_settings.settings(
            socket_dir=self._layout.postgres_socket_dir,
            cluster_name=self._cluster_name,
            max_connections=self._max_connections,
            shared_buffers_mb=self._shared_buffers_mb,
        )
        owner = self._layout.account
        files.write_whole(self._cluster / "postgresql.conf", text, owner=owner)
        files.write_whole(self._cluster / "pg_hba.conf", postgres_settings.HBA, owner=owner)

    def _ensure_roles(self) -> None:
        from configs import postgres_roles

        with self._connect("postgres") as server:
            postgres_roles.ensure(server, {role: self._password(role) for role in ROLES})
        with self._connect(DATABASE) as database:
            postgres_roles.ensure_schema(database)

    def _connect(self, database: str) -> "Connection[tuple[Any, ...]]":
        import psycopg

        try:
            return psycopg.connect(
                host=self._host,
                port=PORT,
                dbname=database,
                user=SUPERUSER,
                password=self._password(SUPERUSER),
                connect_timeout=10,
                autocommit=True,
            )
        except psycopg.OperationalError as exc:
            if "password authentication failed" in str(exc):
                msg = f"{str(self._layout.secrets)!r} has not the secrets of this cluster: put back the ones it had"
                raise ConfigurationError(msg) from exc
            msg = "the embedded PostgreSQL takes no connections"
            raise Unavailable(msg) from exc
