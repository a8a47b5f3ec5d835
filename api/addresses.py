"""Which addresses the ingress may fetch from: https, and this machine only where the address itself says so.

A name is resolved once and every address it has is judged before one is used, so a name that points to this machine or
to a cloud's metadata service leads nowhere. Private networks are allowed: an operator's provider may stand there.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable

import httpx2

Resolve = Callable[[str, int], Awaitable[list[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCAL = "localhost"
PORTS = {"https": 443, "http": 80}
MAX_URL = 2048
MAX_PORT = 65_535
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotAllowed(Exception):
    """The address may not be fetched. Its text is ours, for the log and for other errors' words."""


def parse(url: object) -> httpx2.URL:
    """An address that came from outside, read once.

    Raises:
        NotAllowed: no text, not https (http on this machine only), or with a user, a fragment or odd characters.
    """
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isascii() or not url.isprintable():
        raise NotAllowed("it is no address")
    if "\\" in url or " " in url:
        raise NotAllowed("it holds characters that no address has")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise NotAllowed("it is no address") from error
    if parsed.scheme not in PORTS or not parsed.host or not 0 < port_of(parsed) <= MAX_PORT:
        raise NotAllowed("it is not https")
    if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0] or "#" in url:
        raise NotAllowed("it holds a user or a fragment")
    if parsed.scheme == "http" and not is_local(parsed):
        raise NotAllowed("it is not https")
    return parsed


def is_local(url: httpx2.URL) -> bool:
    """Whether it says by itself that it means this machine."""
    address = _address(url.host)
    return url.host == LOCAL or (address is not None and address.is_loopback)


async def targets(url: httpx2.URL, resolve: Resolve) -> list[str]:
    """The addresses behind `url`, all of them judged.

    Raises:
        NotAllowed: one of them is not to be asked.
        OSError: the name cannot be resolved.
    """
    host, local = url.raw_host.decode("ascii"), is_local(url)
    address = _address(host)
    found = [host] if address is not None else await resolve(host, port_of(url))
    if not found or not all(_may_be_asked(each, local=local) for each in found):
        raise NotAllowed("its name leads to an address that is not to be asked")
    return found


def port_of(url: httpx2.URL) -> int:
    """The port, also where the address leaves it out."""
    return PORTS[url.scheme] if url.port is None else url.port


async def resolved(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _may_be_asked(text: str, *, local: bool) -> bool:
    address = _address(text)
    if address is None:
        return False
    if address.is_loopback or local:
        return address.is_loopback and local
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


def _address(text: str) -> Address | None:
    """As an address, one that stands for an IPv4 address as that."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
