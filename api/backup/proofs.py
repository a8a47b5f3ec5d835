"""What a backup promises of the database in it, sealed beside it, and whether a restored one keeps that.

A check is given the restored server while it runs; whoever makes a promise about stored data adds one to `CHECKS`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

import orjson
from pydantic import Field

from api.audit import checking
from api.audit.anchors import Anchored
from api.audit.chain import Fault
from api.backup.manifest import PROOFS, Manifest, Record
from api.backup.store import Store
from api.db import proofs, schema, survey
from api.db.proofs import Notes, WrappedKey
from api.db.session import AUDIT_ROLE, Database
from api.vault.keys import Owner, unwrap
from configs.errors import ConfigurationError, Unreadable
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres

SHOWN = 5
"""Faults of the audit log that are told one by one."""


class Proofs(Record):
    """The known answers."""

    samples: dict[str, str] = Field(default_factory=dict, description="digest of each table's first rows")
    heads: dict[str, tuple[int, str]] = Field(
        default_factory=dict, description="number and hash of chains' last entries"
    )

    @classmethod
    def of(cls, notes: Notes) -> "Proofs":
        """Of a database that stood still."""
        return cls(samples=notes.samples, heads=notes.heads)

    @classmethod
    def between(cls, first: Notes, last: Notes) -> "Proofs":
        """Of a database that was written meanwhile: first rows that stayed as they were, and the ends as of before."""
        same = {table: digest for table, digest in first.samples.items() if last.samples.get(table) == digest}
        return cls(samples=same, heads=first.heads)

    def text(self) -> bytes:
        """As it is kept."""
        return orjson.dumps(self.model_dump(mode="json"))


def proofs_of(store: Store, backup: Manifest) -> Proofs:
    """What a backup promises; one of an older version promises nothing.

    Raises:
        DamagedBackup: it is not what was written.
    """
    if PROOFS not in backup.streams:
        return Proofs()
    return Proofs.model_validate_json(b"".join(store.fetch(backup, PROOFS)))


Check = Callable[[EmbeddedPostgres, Proofs, Keyring], list[str]]
"""Returns sentences, none when all is well."""


def golden(server: EmbeddedPostgres, promised: Proofs, _: Keyring) -> list[str]:
    """The first rows of every table are what they were."""
    found = proofs.notes(server.root_url).samples
    return [
        f"the first rows of the table {table} are not what they were"
        for table, digest in promised.samples.items()
        if table in found and found[table] != digest
    ]


def data_keys(server: EmbeddedPostgres, _: Proofs, keyring: Keyring) -> list[str]:
    """The keyring opens every data key, so that content can be read after a restore."""
    with survey.connected(server.root_url) as connection:
        found = proofs.wrapped_keys(connection)
    lacking, wrong = Counter[str](), Counter[str]()
    for row in found:
        try:
            unwrap(keyring.get(row.master_key_id), row.id, _owner(row), row.wrapped)
        except ConfigurationError:
            lacking[row.master_key_id] += 1
        except Unreadable:
            wrong[row.master_key_id] += 1
    place = keyring.place
    return [
        f"{count} of {len(found)} data keys are wrapped by the master key {name!r}, which {place} lacks, so that what "
        "they encrypt could not be read: put its line back from your copy of the keyring"
        for name, count in lacking.items()
    ] + [
        f"{count} of {len(found)} data keys do not open with the master key {name!r} of {place}: it is another key of "
        "that name, or they were changed; put the right one back from your copy of the keyring"
        for name, count in wrong.items()
    ]


def chains(server: EmbeddedPostgres, promised: Proofs, _: Keyring) -> list[str]:
    """Every audit chain is unbroken and has the entry at which it ended. The schema is brought up to date for that."""
    try:
        schema.upgrade(server.urls.owner_url)
    except ConfigurationError as error:
        return [error.message]
    known = Anchored({name: {seq: bytes.fromhex(digest)} for name, (seq, digest) in promised.heads.items()})
    faults = asyncio.run(_walked(server.urls.audit_url, known))
    told = [f"audit log of {each.organization_id}, entries {each.seq} to {each.last}: {each.trace.value}"
            for each in faults[:SHOWN]]  # fmt: skip
    return told + ([f"audit log: {len(faults) - SHOWN} faults more"] if len(faults) > SHOWN else [])


CHECKS: list[Check] = [golden, data_keys, chains]
"""The last one may change the schema."""


def check(server: EmbeddedPostgres, promised: Proofs, keyring: Keyring) -> list[str]:
    """What is wrong with a restored database, whose schema is up to date afterwards."""
    return [problem for each in CHECKS for problem in each(server, promised, keyring)]


async def _walked(url: str, known: Anchored) -> list[Fault]:
    database = Database(url, pool_size=1, application="manta drill", role=AUDIT_ROLE, deadline_s=None)
    try:
        return (await checking.check(database, known)).faults
    finally:
        await database.close()


def _owner(row: WrappedKey) -> Owner:
    return Owner(row.owner_kind, row.owner_id, row.organization_id)  # type: ignore[arg-type]  # the table's check
