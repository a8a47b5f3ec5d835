"""What every answer tells a browser, whatever the route: how little may be done with it.

A route that knows better sets the header itself, and its word stands. All of it is built once, at import.
"""

from collections.abc import Iterable

Header = tuple[bytes, bytes]

DEFAULTS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"cache-control", b"no-store"),
)
HSTS: Header = (b"strict-transport-security", b"max-age=31536000")
"""A year, for this very name: what its siblings do is not ours to say."""


def completed(own: Iterable[Header]) -> list[Header]:
    """A route's headers, with the defaults for those that it did not set."""
    headers = list(own)
    names = {name for name, _ in headers}
    headers += [header for header in DEFAULTS if header[0] not in names]
    return headers


def block(own: Iterable[Header]) -> bytes:
    """`completed` as the bytes of a head, for answers that are written past ASGI."""
    return b"".join(b"%b: %b\r\n" % header for header in completed(own))
