"""Mask what must not be shown: values under secret-like keys, and user and password in URLs."""

import re
from collections.abc import Mapping

from configs.suggest import shorten

MASK = "********"
SECRET_KEY = re.compile(
    r"(?:^|[_.-])(?:token|secret|password|passwd|credentials?|api_?key|private_?key)$", re.IGNORECASE
)
URL_USER = re.compile(r"(?<=://)[^/@\s]+@")


def redact(key: str, text: str) -> str:
    """The text as it may be shown under this key (the last part of a dotted path)."""
    return MASK if SECRET_KEY.search(key) and text else URL_USER.sub(f"{MASK}@", text)


def shown(key: str, value: object) -> str:
    """A value as a message may quote it: short, without what a list or mapping holds."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return shorten(redact(key, value) if isinstance(value, str) else value)
