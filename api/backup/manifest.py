"""What a backup consists of: plain JSON under an HMAC. It is written last: a backup without a manifest does not exist.

It names no file, no person and no secret; tables and their row counts it does. It does not know where it lies.
"""

import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from api.backup.sealed import derived
from configs.errors import ConfigurationError, DamagedBackup
from configs.keyring import Keyring, MasterKey

FORMAT: Literal[1] = 1
FOLDER = "manifests/"
SUFFIX = ".json"
FILES, SECRETS, BASE, BASE_MANIFEST, TABLE = "files", "secrets", "base", "base-manifest", "table-"
ERASURES, PROOFS = "erasures", "proofs"
"""Streams of a backup; TABLE is the beginning of a name."""

STAMP = "%Y%m%dT%H%M%SZ"


class Record(BaseModel):
    """A part of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(Record):
    """One object of the target, as it was written."""

    name: str
    size: int = Field(ge=0, description="bytes, sealed")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the sealed bytes")


class Count(Record):
    """Rows of a table: `rows` at one moment of the backup, and how many came and went while it was taken."""

    rows: int
    added: int = 0
    removed: int = 0

    def allows(self, found: int) -> bool:
        """Whether the table may have `found` rows after a restore."""
        return self.rows - self.removed <= found <= self.rows + self.added


class Wal(Record):
    """Where a base backup stands in PostgreSQL's log; `archive` is set when the log is shipped too."""

    timeline: int
    start: int = Field(description="position of the log from which on it is needed")
    end: int = Field(description="position from which on the base is consistent")
    archive: str | None = None


class Manifest(Record):
    """One backup."""

    format: Literal[1] = FORMAT
    id: str = Field(pattern=r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$")
    kind: Literal["base", "logical"]
    started_at: AwareDatetime
    finished_at: AwareDatetime
    version: str = Field(description="of Manta")
    server: str = Field(description="PostgreSQL's version")
    revision: str | None = Field(description="the schema's")
    wal: Wal | None = None
    streams: dict[str, tuple[Part, ...]] = Field(description="each stream's parts, in order")
    rows: dict[str, Count]
    key: str = Field(description="id of the master key")

    @property
    def size(self) -> int:
        """Bytes of its own parts; files that several backups share are not counted."""
        return sum(part.size for parts in self.streams.values() for part in parts)

    def sealed_text(self, key: MasterKey) -> bytes:
        """Itself with its HMAC, as it is kept."""
        content = self.model_dump(mode="json")
        return orjson.dumps(content | {"hmac": _hmac(content, key)}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)

    @classmethod
    def checked(cls, text: bytes, keys: Keyring, place: str) -> Self:
        """The manifest that was kept at `place`.

        Raises:
            DamagedBackup: it is not what was written, or it was written by another version or with another key.
            ConfigurationError: the keyring lacks its master key.
        """
        try:
            content: dict[str, Any] = orjson.loads(text)
            given, key_id = str(content.pop("hmac")), str(content["key"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(place) from error
        if content.get("format") != FORMAT:
            msg = f"{place} is of format {content.get('format')!r}, and this version reads {FORMAT}: use a newer one"
            raise ConfigurationError(msg)
        if not hmac.compare_digest(given, _hmac(content, keys.get(key_id))):
            msg = f"{place} was changed, or it was made with another master key of the id {key_id!r}"
            raise DamagedBackup(msg)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise _damaged(place) from error


def new_id(now: datetime) -> str:
    """An id that sorts by time, by the microsecond."""
    return f"{now.astimezone(UTC).strftime(STAMP)}-{now.microsecond:05x}{secrets.randbelow(16**3):03x}"


def name_of(backup_id: str) -> str:
    """The manifest's name in its target."""
    return f"{FOLDER}{backup_id}{SUFFIX}"


def ids(names: Iterable[str]) -> list[str]:
    """The ids of those names, oldest first."""
    return sorted(name.removeprefix(FOLDER).removesuffix(SUFFIX) for name in names)


def _hmac(content: dict[str, Any], key: MasterKey) -> str:
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hmac.digest(derived(key, "manifest"), text, "sha256").hex()


def _damaged(place: str) -> DamagedBackup:
    return DamagedBackup(f"{place} is no manifest: take another backup with --id")
