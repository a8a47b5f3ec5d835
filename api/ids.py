"""Names of rows: what kind, and 96 random bits; of some also when they were made."""

import re
import secrets
from datetime import UTC, datetime, timedelta

TIMED = re.compile(r"[a-z]+[_-]([0-9a-f]{14})[0-9a-f]{24}")
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def new_id(kind: str) -> str:
    """For example `conv_0123456789abcdef01234567`."""
    return f"{kind}_{secrets.token_hex(12)}"


def new_timed_id(kind: str) -> tuple[str, datetime]:
    """An id that tells the time, and that time: a list by time so knows the place of a row that is gone."""
    at = datetime.now(UTC)
    return f"{kind}_{(at - EPOCH) // MICROSECOND:014x}{secrets.token_hex(12)}", at


def time_of(id_: str) -> datetime | None:
    """When what has that id was made, where the id tells it."""
    found = TIMED.fullmatch(id_)
    return EPOCH + int(found.group(1), 16) * MICROSECOND if found else None
