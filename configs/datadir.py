"""Where everything lies and listens: all paths follow from the data directory, so that tests take their own.

Two halves. What must last is in the data directory. Sockets and what a reboot may take are in a short folder of their
own, because the path of a Unix socket ends at 107 bytes (unix(7)) and Ray adds 66 to its own. Does not know what the
parts write.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from configs import accounts, datalock, files, folders, secretfiles
from configs.accounts import Account
from configs.errors import ConfigurationError, Internal

_SOCKET_PATH_BYTES = 107
_RAY_BYTES = len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1")
_ROOT_DATA_DIR = Path("/var/lib/manta")
_OPEN_TO_ALL = (_ROOT_DATA_DIR, Path("/srv/manta"), Path("/var/tmp/manta"))  # noqa: S108 - a proposal in a message
_FOREIGN_BUT_HARMLESS = {"lost+found"}


def default_data_dir() -> Path:
    """/var/lib/manta for root, else $XDG_DATA_HOME/manta or ~/.local/share/manta."""
    if os.geteuid() == 0:
        return _ROOT_DATA_DIR
    if home := os.environ.get("XDG_DATA_HOME"):
        return Path(home) / "manta"
    return Path.home() / ".local" / "share" / "manta"


@dataclass(frozen=True)
class Layout:
    """The paths of one installation. Making one touches nothing; `prepare` creates, `hold` locks."""

    data_dir: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().resolve())

    @cached_property
    def run_dir(self) -> Path:
        """The short folder. Once made it is remembered in the data directory, for callers with another environment."""
        pointer = self.data_dir / "run"
        if pointer.is_symlink():
            made = pointer.readlink()
            if made.name.endswith(self.short_id) and folders.is_private(made):
                return made
        return _runtime_root(self.short_id)

    @property
    def short_id(self) -> str:
        """Eight hexadecimal digits that name this data directory."""
        return hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:8]

    @cached_property
    def account(self) -> Account | None:
        """Whom PostgreSQL and Valkey run as when root starts them; None when the caller is not root."""
        return accounts.service_account(self.postgres)

    @property
    def lock(self) -> Path:
        """The file that `hold` locks. It also marks a folder as a data directory."""
        return self.data_dir / "lock"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's cluster."""
        return self.data_dir / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's working folder."""
        return self.data_dir / "valkey"

    @property
    def secrets(self) -> Path:
        """Passwords and keys, 0700 with files of 0600. Keep it out of the database's backup."""
        return self.data_dir / "secrets"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.data_dir / "logs"

    @property
    def models(self) -> Path:
        """Weights that were pulled or registered."""
        return self.data_dir / "models"

    @property
    def search(self) -> Path:
        """Snapshots of indexes; they can be rebuilt."""
        return self.data_dir / "search"

    @property
    def files(self) -> Path:
        """What people uploaded, sealed."""
        return self.data_dir / "files"

    @property
    def usage(self) -> Path:
        """The outbox of usage rows that PostgreSQL has not got yet."""
        return self.data_dir / "usage"

    @property
    def programs(self) -> Path:
        """Copies of server programs that the account cannot reach where they are installed."""
        return self.data_dir / "programs"

    @property
    def postgres_socket_dir(self) -> Path:
        """The folder of PostgreSQL's socket."""
        return self.run_dir / "postgres"

    @property
    def valkey_socket_dir(self) -> Path:
        """The folder of Valkey's socket and configuration."""
        return self.run_dir / "valkey"

    @property
    def port_socket(self) -> Path:
        """Where the launcher hands over the front port."""
        return self.run_dir / "port.sock"

    @property
    def ray(self) -> Path:
        """Ray's temporary folder."""
        return self.run_dir / "ray"

    @property
    def ray_token(self) -> Path:
        """The token that every Ray process must show."""
        return self.secrets / "ray_token"

    @property
    def cluster(self) -> Path:
        """What every process of the cluster must know (`configs.cluster`)."""
        return self.secrets / "cluster.json"

    @property
    def master_keys(self) -> Path:
        """The keyring of what is stored encrypted (`configs.keyring`), unless MANTA_MASTER_KEY_FILE names another."""
        return self.secrets / "master_keys"

    @property
    def token_keys(self) -> Path:
        """The keyring that signs access tokens."""
        return self.secrets / "token_keys"

    @property
    def processes(self) -> Path:
        """The ledger of what was started."""
        return self.run_dir / "processes.json"

    @property
    def state(self) -> Path:
        """What the launcher tells other commands."""
        return self.run_dir / "state.json"

    @property
    def unfinished(self) -> Path:
        """A mark: a restore into this directory has not come to its end."""
        return self.data_dir / "unfinished-restore"

    def prepare(self) -> None:
        """Create every folder with its mode and owner. Doing it again changes nothing.

        Raises:
            ConfigurationError: the place is taken, closed to the account, read-only or full.
        """
        self._open()
        with files.disk_faults(self.data_dir):
            self._make_lasting()
        with files.disk_faults(self.run_dir):
            self._make_run_dir()

    def hold(self, *, command: str, port: int | None = None, wait_s: float = 0.0) -> datalock.Hold:
        """Lock the directory for this process until released, and prepare it.

        Raises:
            ConfigurationError: another process holds it (the message names it), or `prepare` refused.
        """
        self._open()
        held = datalock.take(self.lock, command=command, port=port, wait_s=wait_s)
        try:
            self._refuse_unfinished()
            self.prepare()
        except ConfigurationError:
            held.release()
            raise
        return held

    def holder(self) -> datalock.Holder | None:
        """Who holds it now, or None."""
        return datalock.holder(self.lock)

    def require_hold(self) -> None:
        """Insist that this process holds the directory: starting a server clears away what an earlier one left.

        Raises:
            Internal: it does not.
        """
        if not datalock.is_ours(self.lock):
            msg = f"{self.data_dir} must be held before anything is started in it"
            raise Internal(msg)

    def secret(self, name: str, nbytes: int = 32) -> str:
        """A random secret as URL-safe text, made at the first call and read at the later ones.

        Raises:
            ConfigurationError: its file is open to others or belongs to somebody else.
        """
        return secretfiles.read_or_make(self.secrets, name, nbytes)

    @property
    def _outer_mode(self) -> int:
        return 0o711 if self.account else 0o700  # the account must pass, not look around

    def _open(self) -> None:
        """Make the data directory itself and its lock file."""
        self._refuse_closed_folders()
        with files.disk_faults(self.data_dir):
            folders.make_parents(self.data_dir)
            self._claim()

    def _make_lasting(self) -> None:
        folders.make(self.data_dir, self._outer_mode)
        if self.secrets.exists():
            secretfiles.refuse_open_folder(self.secrets)
        for folder in (self.secrets, self.logs, self.models, self.search, self.files, self.usage):
            folders.make(folder, 0o700)
        folders.make(self.programs, 0o755 if self.account else 0o700)
        for folder in (self.postgres, self.valkey):
            folders.make(folder, 0o700, self.account)

    def _refuse_closed_folders(self) -> None:
        """Never open a folder that is not ours: say where the data can live instead."""
        if self.account is None:
            return
        for path in (self.data_dir.parent, self.postgres.resolve().parent, self.run_dir.parent):
            closed = accounts.closed_folder(path, self.account)
            if closed and closed != self.data_dir:
                better = next((p for p in _OPEN_TO_ALL if not accounts.closed_folder(p.parent, self.account)), None)
                hint = f", for example --data-dir {better}" if better else ""
                msg = (
                    f"the folder {str(closed)!r} is closed to {self.account.name!r}, the account that runs PostgreSQL "
                    f"and Valkey for root: choose a data directory that it can reach{hint}"
                )
                raise ConfigurationError(msg)

    def _claim(self) -> None:
        """Mark a new or empty folder as ours, and close it before that; refuse one that holds something else."""
        self.data_dir.mkdir(mode=0o700, exist_ok=True)
        if self.lock.exists():
            folders.refuse_foreign(self.data_dir)
            return
        self._refuse_filled()
        folders.make(self.data_dir, self._outer_mode)
        self._refuse_filled()  # once more, now that nobody else can add anything
        self.lock.touch(mode=0o600)

    def _refuse_unfinished(self) -> None:
        if self.unfinished.exists():
            msg = f"a restore into {str(self.data_dir)!r} was broken off: empty it, and run `manta db restore` again"
            raise ConfigurationError(msg)

    def _refuse_filled(self) -> None:
        if others := {entry.name for entry in self.data_dir.iterdir()} - _FOREIGN_BUT_HARMLESS - {"lock"}:
            msg = f"{str(self.data_dir)!r} is no data directory and not empty (it has {min(others)!r}): choose another"
            raise ConfigurationError(msg)

    def _make_run_dir(self) -> None:
        try:
            self.run_dir.mkdir(mode=0o700)
        except FileExistsError:
            folders.refuse_foreign(self.run_dir)
        folders.make(self.run_dir, self._outer_mode)
        folders.make(self.ray, 0o700)
        for folder in (self.postgres_socket_dir, self.valkey_socket_dir):
            folders.make(folder, 0o700, self.account)
        pointer = self.data_dir / "run"
        if not pointer.is_symlink() or pointer.readlink() != self.run_dir:
            pointer.unlink(missing_ok=True)
            pointer.symlink_to(self.run_dir)


def _runtime_root(short_id: str) -> Path:
    uid = os.geteuid()
    if uid == 0 and os.access("/run", os.W_OK):
        return Path("/run") / f"manta-{short_id}"
    private = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    fits = len(os.fsencode(private)) + len(f"/manta-{short_id}") + _RAY_BYTES <= _SOCKET_PATH_BYTES
    if uid != 0 and fits and folders.is_private(private):
        return private / f"manta-{short_id}"
    return Path("/tmp") / f"manta-{uid}-{short_id}"  # noqa: S108 - short; owner and mode are checked before use
