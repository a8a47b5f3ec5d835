"""Who is at the other end of a request: the peer of the connection, or the one that a trusted proxy names.

`X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239) count from the networks of
`general_settings.trusted_proxies` only. Each proxy appends its own peer on the right, so they are read from there: the
first address that is no trusted proxy is the client, and what stands left of it is the client's own claim. It knows no
route and no person.
"""

import ipaddress
import re
from collections.abc import Iterable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
Headers = Iterable[tuple[bytes, bytes]]

FORWARDING = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"via"}
)
"""What says that somebody stands between."""
MAX_HOPS = 32
MAX_HEADER_BYTES = 4096
MAX_ADDRESS = 64
ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
PAIR = re.compile(r'(?:^|;)\s*(for|proto)\s*=\s*("[^"]*"|[^;,"\s]*)', re.I)


class Peer(NamedTuple):
    """Where a request comes from. `direct`: no header says that somebody stands between."""

    address: str
    https: bool
    direct: bool


class Hop(NamedTuple):
    """What one proxy told of its own peer; empty where it told nothing."""

    address: str
    proto: str


def networks_of(written: Iterable[str]) -> Networks:
    """Networks from their texts, such as `10.0.0.0/8`."""
    return tuple(ipaddress.ip_network(each) for each in written)


def peer_of(scope: MutableMapping[str, Any], trusted: Networks) -> Peer:
    """Who sent this request, as far as it can be believed; never raises, whatever the headers hold."""
    client = scope.get("client")
    near = _plain(client[0]) if client else ""
    https = scope.get("scheme") == "https"
    told = [header for header in scope["headers"] if header[0] in FORWARDING]
    if not told:
        return Peer(near, https, direct=True)
    proxy = _address(near)
    if proxy is None or not _within(proxy, trusted):
        return Peer(near, https, direct=False)
    return _as_told(near, https, told, trusted)


def _as_told(near: str, https: bool, told: Sequence[tuple[bytes, bytes]], trusted: Networks) -> Peer:
    """One of the two headers is the proxy's and the other may be the client's: where they differ, neither counts."""
    both = [hops for hops in (_x_forwarded(told), _forwarded(told)) if hops]
    named = [hops for hops in both if any(hop.address for hop in hops)]
    found = {_client(hops, near, https, trusted) for hops in named or both}
    return found.pop() if len(found) == 1 else Peer(near, https, direct=False)


def _client(hops: Sequence[Hop], near: str, https: bool, trusted: Networks) -> Peer:
    """From the right: the first address that is no trusted proxy; the last good one where something else stands."""
    address, proto = near, hops[-1].proto if hops else ""
    for hop in reversed(hops[-MAX_HOPS:]):
        found = _address(hop.address)
        if found is None:
            break
        address, proto = str(found), hop.proto or proto
        if not _within(found, trusted):
            break
    return Peer(address, proto.lower() == "https" if proto else https, direct=False)


def _x_forwarded(told: Headers) -> list[Hop]:
    """Both lists end at the nearest proxy; a shorter list of protocols is that of the proxies furthest out."""
    addresses, protos = _list(told, b"x-forwarded-for"), _list(told, b"x-forwarded-proto")
    if not addresses:
        return [Hop("", proto) for proto in protos]
    protos = [""] * (len(addresses) - len(protos)) + protos[-len(addresses) :]
    furthest = next((proto for proto in protos if proto), "")
    return [Hop(address, proto or furthest) for address, proto in zip(addresses, protos, strict=True)]


def _forwarded(told: Headers) -> list[Hop]:
    hops = []
    for element in ELEMENT.findall(_joined(told, b"forwarded")):
        pairs = {name.lower(): value.strip('"') for name, value in PAIR.findall(element)}
        hops.append(Hop(pairs.get("for", ""), pairs.get("proto", "")))
    return hops


def _list(told: Headers, name: bytes) -> list[str]:
    joined = _joined(told, name)
    return [each.strip() for each in joined.split(",")] if joined else []


def _joined(told: Headers, wanted: bytes) -> str:
    joined = b",".join(value for name, value in told if name == wanted)
    return joined.decode("latin-1") if len(joined) <= MAX_HEADER_BYTES else ""


def _address(text: str) -> Address | None:
    """An address without its port and brackets; None for `unknown`, hidden names and garbage."""
    return _parsed(text.strip().strip('"')) if len(text) <= MAX_ADDRESS else None


@lru_cache(4096)  # the same clients come again and again
def _parsed(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _plain(text: str) -> str:
    """A socket's own peer: `::ffff:192.0.2.7` is 192.0.2.7, as a socket for both families writes it."""
    return str(_address(text) or text) if ":" in text else text


@lru_cache(4096)
def _within(address: Address, networks: Networks) -> bool:
    return any(address.version == network.version and address in network for network in networks)
