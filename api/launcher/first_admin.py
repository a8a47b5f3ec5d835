"""The link by which the first person becomes the installation's owner. It works once."""

from pathlib import Path

from api.db import accounts, logins
from api.db.session import Database
from api.identity.accounts import LIVES_S
from api.identity.newcomers import FIRST_ADMIN
from api.identity.secrets import digest_of
from api.roles import OWNER
from api.scope import DEFAULT_ORGANIZATION, INSTALLATION
from configs import secretfiles

BYTES = 32


async def prepare(database: Database, folder: Path) -> None:
    """Have a good link in the secret file `first_admin`, or no such file when there is an owner."""
    path = folder / FIRST_ADMIN
    async with database.unit(INSTALLATION) as unit:
        if await accounts.has_owner(unit, DEFAULT_ORGANIZATION, OWNER):
            path.unlink(missing_ok=True)
            return
        secret = secretfiles.read_or_make(folder, FIRST_ADMIN, BYTES)
        found = await logins.find(unit, "token", digest_of(secret).hex())
        if found is not None and not found["good"]:  # used, or too old: by whoever is no owner any more
            path.unlink()
            secret = secretfiles.read_or_make(folder, FIRST_ADMIN, BYTES)
        digest = digest_of(secret)
        await accounts.add_token(unit, digest, FIRST_ADMIN, user_id=None, email=None, lifetime_s=LIVES_S[FIRST_ADMIN])
