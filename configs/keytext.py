"""The text of a keyring: a key per line as `<id> <base64url of 32 bytes>`, the active one first, `#` for comments.

It knows neither files nor what the keys open. No message of it holds a key.
"""

import base64
import itertools
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from configs.errors import ConfigurationError

KEY_BYTES = 32
MAX_PERIOD = 16

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key of 32 bytes and the name that stored data knows it by."""

    id: str
    key: bytes = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        """A new one; its id tells the day it was made."""
        return cls(f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(6)}", secrets.token_bytes(KEY_BYTES))

    @property
    def line(self) -> str:
        """How it stands in a file, with the end of the line."""
        return f"{self.id} {base64.urlsafe_b64encode(self.key).decode().rstrip('=')}\n"


def parse(text: str, place: str) -> dict[str, MasterKey]:
    """The keys by id, the active one first. `place` names the text in messages.

    Raises:
        ConfigurationError: there is none, two have one id, or one is malformed, short or no random key.
    """
    found: dict[str, MasterKey] = {}
    for number, words in _lines(text):
        key = _key(words, f"{place}, line {number}")
        if key.id in found:
            msg = f"{place}, line {number}: the id {key.id!r} stands there twice; keep the line that is right"
            raise ConfigurationError(msg)
        found[key.id] = key
    if not found:
        msg = f"{place} holds no key: put it back from your copy of it"
        raise ConfigurationError(msg)
    return found


def without(text: str, key_id: str) -> str:
    """The text less the line of that key."""
    gone = {number for number, words in _lines(text) if words[0] == key_id}
    return "".join(line for number, line in enumerate(text.splitlines(keepends=True), 1) if number not in gone)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if words := line.partition("#")[0].split():
            yield number, words


def _key(words: list[str], where: str) -> MasterKey:
    if len(words) != 2 or not _ID.fullmatch(words[0]) or not _BASE64URL.fullmatch(words[1]):  # noqa: PLR2004
        msg = f"{where}: it must be `<id> <base64url of {KEY_BYTES} random bytes>`"
        raise ConfigurationError(msg)
    name, text = words[0], words[1].rstrip("=")
    try:
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        msg = f"{where}: the key {name!r} is not base64url"
        raise ConfigurationError(msg) from error
    if len(key) != KEY_BYTES:
        msg = f"{where}: the key {name!r} has {len(key)} bytes and must have {KEY_BYTES}; was a part of it cut off?"
        raise ConfigurationError(msg)
    if guessable(key):
        msg = f"{where}: the key {name!r} is no random key; `manta secrets rotate` makes one for a new installation"
        raise ConfigurationError(msg)
    return MasterKey(name, key)


def guessable(key: bytes) -> bool:
    """Whether it is a default, a pattern or text. Of 10^13 random keys less than one looks like that."""
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    repeats = any(key[period:] == key[:-period] for period in range(1, MAX_PERIOD + 1))
    return len(steps) == 1 or repeats or all(0x20 <= byte < 0x7F for byte in key)  # noqa: PLR2004  printable ASCII
