"""Which names this server answers to, so that no web page reaches it by a name of its own (DNS rebinding).

An address is harmless, since a browser shows a page its own name only; a name must be one of ours.
"""

import ipaddress
from typing import Self
from urllib.parse import urlsplit

from configs.errors import BadRequest
from configs.specs import GeneralSettings

LOCAL = "localhost"


class Hosts:
    """Names that a `Host` header may carry; any name where none is configured and the port is open to the network."""

    def __init__(self, names: frozenset[str], *, any_name: bool) -> None:
        self._names = names
        self._any_name = any_name

    @classmethod
    def of(cls, settings: GeneralSettings) -> Self:
        """From the configuration."""
        configured = {name.lower() for name in settings.allowed_hosts}
        if settings.public_url is not None:
            configured.add((urlsplit(str(settings.public_url)).hostname or "").lower())
        any_name = not configured and not _is_loopback(settings.host)
        return cls(frozenset({LOCAL, settings.host.lower(), *configured}), any_name=any_name)

    def check(self, header: bytes) -> None:
        """Accept the header's name.

        Raises:
            BadRequest: it is none of ours.
        """
        name = name_of(header)
        if self._any_name or not name or name in self._names or is_address(name):
            return
        raise BadRequest("This server does not answer to that Host. general_settings.allowed_hosts lists its names.")


def name_of(header: bytes) -> str:
    """The host without its port and brackets, in lower case."""
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        inside, closed, _ = text[1:].partition("]")
        return inside if closed else text
    return text.partition(":")[0]


def is_address(name: str) -> bool:
    """Whether it is an IP address and not a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == LOCAL or (is_address(host) and ipaddress.ip_address(host).is_loopback)
