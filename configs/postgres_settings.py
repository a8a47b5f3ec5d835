"""The embedded PostgreSQL's names and configuration, as text. Written anew at each start: hand edits do not last."""

from pathlib import Path

DATABASE = "manta"
SUPERUSER = "manta_root"
OWNER, APP, AUDIT = "manta_owner", "manta_app", "manta_audit"
JOBS, LOOKUP = "manta_jobs", "manta_lookup"
BACKUP = "manta_backup"
ROLES = (OWNER, APP, AUDIT, JOBS, BACKUP)
REPLICATING = {BACKUP}
ARCHIVE_SLOT = "manta_backup_"  # and the id of the archive that the log is shipped to
PORT = 5432  # names the socket's file; nothing listens on TCP

# One way in: the socket, with a password, for the superuser too. What is not listed is rejected.
HBA = f"local all all scram-sha-256\nlocal replication {BACKUP} scram-sha-256\n"


DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""What was acknowledged stays."""


def settings(*, socket_dir: Path, cluster_name: str, max_connections: int, shared_buffers_mb: int) -> str:
    """The content of postgresql.conf (names and meanings: PostgreSQL 18 manual, chapter 19)."""
    values = {
        # reached by the socket alone
        "listen_addresses": "",
        "unix_socket_directories": '"' + str(socket_dir).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "port": PORT,
        "password_encryption": "scram-sha-256",
        "allow_alter_system": "off",
        **DURABLE,
        "wal_level": "replica",
        "restart_after_crash": "on",
        # a backup that stays away does not fill the disk: its slot is lost, and the next one begins a new archive
        "max_slot_wal_keep_size": "4GB",
        # a small footprint; io workers and logical replication would be idle processes
        "max_connections": max_connections,
        "shared_buffers": f"{shared_buffers_mb}MB",
        "min_wal_size": "80MB",
        "max_wal_size": "512MB",
        "io_method": "sync",
        "max_logical_replication_workers": 0,
        # not /dev/shm: containers make it small, Ray fills it, and logind empties it when a user logs out
        "dynamic_shared_memory_type": "mmap",
        # to stderr, which is our log file: no statement, no value of a row
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": 0,
        "log_parameter_max_length_on_error": 0,
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] %u ",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "cluster_name": cluster_name,
    }
    lines = [f"{name} = {_quoted(str(value))}" for name, value in values.items()]
    return "# Written by Manta at every start.\n" + "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
