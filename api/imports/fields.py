"""Single values of a foreign file, each checked: texts, ids, times, addresses, hashes."""

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from api.imports.records import Unfit

LONGEST_ID = 200
LONGEST_NAME = 200
LONGEST_TITLE = 500
LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3, less the brackets
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
"""NUL and halves of surrogate pairs: neither UTF-8 nor the gate of this API takes them."""
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
"""At most cost 14 (about a second): a file must not decide how long a login computes."""
KILO = 1000
LARGEST_SECONDS = 1e11
LARGEST_NUMBER = 1e20
FIRST_YEAR, LAST_YEAR = 1970, 2100


def cleaned(text: str) -> tuple[str, int]:
    """The text as Manta can keep it, and how many characters stand as U+FFFD in it now."""
    return NOT_TEXT.subn(REPLACEMENT, text)


def identifier(value: Any) -> str:  # noqa: ANN401  any JSON
    """An id.

    Raises:
        Unfit: it is none, or not printable, or too long.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise Unfit("it has no id")
    if len(value) > LONGEST_ID or not value.isprintable():
        raise Unfit(f"its id is not printable or longer than {LONGEST_ID} characters")
    return value


def optional_identifier(value: Any) -> str | None:  # noqa: ANN401
    """An id, or None where there is none that can be one."""
    try:
        return identifier(value)
    except Unfit:
        return None


def message_key(value: Any) -> str | None:  # noqa: ANN401
    """A message's id within its conversation; in place of one that is not printable, one derived from it."""
    if not isinstance(value, str) or not value:
        return None
    return optional_identifier(value) or derived_identifier(value)


def mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """An object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:  # noqa: ANN401
    """A list; an empty one in place of anything else."""
    return value if isinstance(value, list) else []


def shown(value: Any) -> str:  # noqa: ANN401
    """A name for the report, which may go to a terminal."""
    return optional_identifier(value) or "(no printable name)"


def derived_identifier(*parts: str) -> str:
    """The same id whenever the same texts are given: 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:32]


def name(value: Any) -> str | None:  # noqa: ANN401
    """A person's or a model's name on one line; None when there is none."""
    return _on_one_line(value)[:LONGEST_NAME] or None


def title(value: Any) -> str:  # noqa: ANN401
    """A conversation's title on one line; empty when there is none."""
    return _on_one_line(value)[:LONGEST_TITLE]


def email(value: Any) -> str:  # noqa: ANN401
    """An e-mail address in small letters.

    Raises:
        Unfit: it is none.
    """
    if not isinstance(value, str):
        raise Unfit("it has no e-mail address")
    address = value.strip().lower()
    if len(address) > LONGEST_EMAIL or not address.isprintable() or not EMAIL.fullmatch(address):
        raise Unfit("its e-mail address is none")
    return address


def bcrypt_hash(value: Any) -> str | None:  # noqa: ANN401
    """A bcrypt hash of a cost that a login can bear, or None."""
    return value if isinstance(value, str) and BCRYPT.fullmatch(value) else None


def moment(value: Any) -> datetime | None:  # noqa: ANN401
    """A time: seconds, milliseconds, microseconds or nanoseconds since 1970, or ISO 8601; None when it is none.

    A number from 1e11 on (the year 5138 in seconds) is taken to be in the next smaller unit.
    """
    if isinstance(value, str):
        return _written(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 < value < LARGEST_NUMBER:  # also NaN
        return None
    seconds = float(value)
    while seconds >= LARGEST_SECONDS:
        seconds /= KILO
    return _plausible(datetime.fromtimestamp(seconds, UTC))


def _on_one_line(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in cleaned(value)[0]).strip()


def _written(text: str) -> datetime | None:
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return moment(number) if math.isfinite(number) else None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not FIRST_YEAR <= read.year < LAST_YEAR:
        return None
    return _plausible(read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC))


def _plausible(time: datetime) -> datetime | None:
    return time if FIRST_YEAR <= time.year < LAST_YEAR else None
