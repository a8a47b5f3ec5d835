"""Bring the database to the code's schema and fill in what must be there; run as a process of its own.

python -m api.launcher.seed ORDER        # a JSON file: URLs, models, where the operator's secret stands
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson

from api.audit.record import record
from api.db import keys as key_queries
from api.db import models as model_queries
from api.db import room, schema
from api.db.session import JOBS_ROLE, Database
from api.db.tables import ApiKey
from api.keys import digest_of, key_of, new_key
from api.launcher import first_admin
from api.launcher.modules import refuse
from api.principal import EVERYTHING
from api.scope import DEFAULT_ORGANIZATION, INSTALLATION
from api.vault.masters import settle_masters
from configs.errors import ConfigurationError, Unavailable
from configs.keyring import Keyring
from configs.specs import ModelSpec

OPERATOR = "operator"


def main() -> None:
    """Do what the order says; a refusal reaches the launcher as one."""
    order: dict[str, Any] = orjson.loads(Path(sys.argv[1]).read_bytes())
    try:
        fill_in(order)
    except ConfigurationError as error:
        refuse(error)


def fill_in(order: dict[str, Any]) -> None:
    """Count connections, migrate, see to the master keys, seed the models, make the operator's key known.

    Raises:
        ConfigurationError: the server is too small, or the keyring is not the one that the database needs.
    """
    room.check(order["app_url"], order["connections"])
    if order["read_url"] is not None:
        check_replica(order["read_url"], order["read_connections"])
    if order["migrate"]:
        before, after = schema.upgrade(order["owner_url"])
        sys.stdout.write(f"schema {before or 'none'} -> {after}\n")
    command = order["master_key_command"]
    keyring = Keyring.of_command(command) if command else Keyring.at(Path(order["master_keys"]))
    asyncio.run(settle(order["jobs_url"], keyring))
    operator_key = Path(order["operator_key"])
    specs = [ModelSpec.model_validate(spec) for spec in order["models"]]
    asyncio.run(seed(order["app_url"], specs, key_of(operator_key.read_text("utf-8").strip()), operator_key.parent))


def check_replica(url: str, needed: int) -> None:
    """Refuse a replica that is too small; one that is away is no reason not to start.

    Raises:
        ConfigurationError: see `room.check`.
    """
    try:
        room.check(url, needed)
    except Unavailable:
        sys.stdout.write("the replica of DATABASE_READ_URL cannot be reached; the primary answers until it is there\n")


async def settle(url: str, keyring: Keyring) -> None:
    """Refuse a keyring that does not open what is stored; make one where nothing is stored yet.

    Raises:
        ConfigurationError: see `api.vault.masters.check_masters`.
    """
    database = Database(url, pool_size=1, role=JOBS_ROLE)
    try:
        async with database.unit() as session:
            await settle_masters(session, keyring)
    finally:
        await database.close()


async def seed(url: str, specs: list[ModelSpec], key: str, secrets: Path) -> None:
    """Models from the YAML, one key that can do everything, and the first admin's link while there is no owner."""
    database = Database(url, pool_size=1)
    async with database.unit(INSTALLATION) as session:
        await model_queries.seed(session, specs)
        if not await key_queries.known(session, digest_of(key.encode())):
            row = row_of(key)
            session.add(row)
            await record(session, None, "key.create", organization_id=DEFAULT_ORGANIZATION, target=row.id, by="start")
    await first_admin.prepare(database, secrets)
    await database.close()


def row_of(key: str) -> ApiKey:
    """The row of the key that the launcher prints."""
    made = new_key(key)
    return ApiKey(
        id=made.id,
        organization_id=DEFAULT_ORGANIZATION,
        name=OPERATOR,
        digest=made.digest,
        prefix=made.prefix,
        permissions=[EVERYTHING],
    )


if __name__ == "__main__":
    main()
