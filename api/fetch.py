"""The one way out to addresses that an operator configured, such as sign-in providers, or that a command was given.

Every fetch has a deadline and a size cap, keeps no cookie and no connection, and asks only addresses that
`api.addresses` allows; the environment's proxies are not asked. Redirects are followed by `page` alone, and each is
judged like the first address. It does not know what is fetched or why.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx2
import orjson

from api import addresses
from api.addresses import NotAllowed, Resolve
from configs.errors import Unavailable

TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
MAX_BYTES = 2**20
MAX_AT_ONCE = 32
MAX_TARGETS = 4
MAX_REDIRECTS = 5
SHOWN = 200
"""Characters of an address in an error."""
RETRY_AFTER_S = 5.0
FORM = "application/x-www-form-urlencoded"
REDIRECTION = range(300, 400)


class NotFetched(Exception):
    """The address may not be asked, or its answer may not be read. Its text is ours and carries no secret."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, at most as long as the fetcher allows."""

    status: int
    body: bytes
    media_type: str = ""
    charset: str | None = None
    """As the answer declares it."""
    location: str | None = None

    def json(self) -> Any:  # noqa: ANN401  JSON is anything
        """The body as JSON.

        Raises:
            NotFetched: it is none.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise NotFetched("it answered with something that is not JSON") from error

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            NotFetched: it is none.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise NotFetched("it answered with something that is no JSON object")
        return value


class Fetcher:
    """Fetches for one process. `proxy` is the operator's own; then it resolves the names, and its rules hold."""

    def __init__(
        self,
        *,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = addresses.resolved,
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._proxied = proxy is not None
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        # Without kept connections none is used for a name other than the one its certificate was checked for.
        limits = httpx2.Limits(max_connections=MAX_AT_ONCE, max_keepalive_connections=0)
        self._transport = httpx2.AsyncHTTPTransport(verify=tls or True, proxy=proxy, limits=limits)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """Read `url`.

        Raises:
            NotFetched: an address that is not allowed, a redirect, or an answer that is too large or compressed.
            Unavailable: it cannot be reached, is too slow, or says itself that it cannot serve now (429, 5xx).
        """
        return await self._fetch("GET", url, dict(headers or {}), None)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Fetched:
        """Send a form to `url`; it is never sent twice.

        Raises:
            NotFetched: as `get`.
            Unavailable: as `get`.
        """
        content = urlencode(form).encode("ascii")
        return await self._fetch("POST", url, {**(headers or {}), "content-type": FORM}, content)

    async def page(self, url: str) -> Fetched:
        """Read what a reader of `url` sees: at most `MAX_REDIRECTS` redirects are followed, all within one deadline.

        Raises:
            NotFetched: as `get`; or a redirect leads where `url` itself could not, or from elsewhere to this machine.
            Unavailable: as `get`.
        """
        async with self._guarded():
            at = addresses.parse(url)
            local = addresses.is_local(at)
            for _ in range(MAX_REDIRECTS + 1):
                try:
                    fetched = await self._ask("GET", at, {}, None)
                except NotAllowed as error:
                    raise NotFetched(f"{_shown(at)}: {error}") from error
                if fetched.status not in REDIRECTION:
                    return _served(fetched)
                at = next_hop(at, fetched.location, local=local)
            raise NotFetched(f"it leads on to other addresses more than {MAX_REDIRECTS} times")

    async def close(self) -> None:
        """Close what is open."""
        await self._transport.aclose()

    async def _fetch(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> Fetched:
        async with self._guarded():
            fetched = await self._ask(method, addresses.parse(url), headers, content)
        if fetched.status in REDIRECTION:
            raise NotFetched("it answered with a redirect")
        return _served(fetched)

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                yield
        except NotAllowed as error:
            raise NotFetched(str(error)) from error
        except (TimeoutError, httpx2.TransportError, OSError) as error:
            raise Unavailable("Another service does not answer.", retry_after_s=RETRY_AFTER_S) from error

    async def _ask(self, method: str, url: httpx2.URL, headers: dict[str, str], content: bytes | None) -> Fetched:
        if self._proxied:
            return await self._exchange(method, url, url, headers, content)
        *others, last = (await addresses.targets(url, self._resolve))[:MAX_TARGETS]
        for target in others:
            with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):  # nothing was sent: the next one is asked
                return await self._exchange(method, url, url.copy_with(host=target), headers, content)
        return await self._exchange(method, url, url.copy_with(host=last), headers, content)

    async def _exchange(
        self, method: str, url: httpx2.URL, target: httpx2.URL, headers: dict[str, str], content: bytes | None
    ) -> Fetched:
        """Connect to `target`, and speak to it as `url`."""
        timeouts = httpx2.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s)).as_dict()
        request = httpx2.Request(
            method,
            target,
            headers={
                "host": url.netloc.decode("ascii"),
                "user-agent": "manta",
                "accept-encoding": "identity",
                **headers,
            },
            content=content,
            extensions={"sni_hostname": url.raw_host.decode("ascii"), "timeout": timeouts},
        )
        response = await self._transport.handle_async_request(request)
        try:
            if response.status_code in REDIRECTION:
                return Fetched(response.status_code, b"", location=response.headers.get("location"))
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            body = await _body_of(response, self._max_bytes)
            return Fetched(response.status_code, body, media_type, response.charset_encoding)
        finally:
            await response.aclose()


def next_hop(at: httpx2.URL, location: str | None, *, local: bool) -> httpx2.URL:
    """Where a redirect from `at` leads; to this machine only where (`local`) the first address was on it.

    Raises:
        NotFetched: nowhere, or to an address that is not to be asked.
    """
    if location is None:
        raise NotFetched("it leads on without an address")
    try:
        target = at.join(location).copy_with(fragment=None)
    except httpx2.InvalidURL as error:
        raise NotFetched("it leads on to something that is no address") from error
    if addresses.is_local(target) and not local:
        raise NotFetched(f"it leads on to {_shown(target)}, which is not to be asked from there")
    try:
        return addresses.parse(str(target))
    except NotAllowed as error:
        raise NotFetched(f"it leads on to {_shown(target)}: {error}") from error


def _shown(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.host}{url.path}"[:SHOWN]


def _served(fetched: Fetched) -> Fetched:
    if fetched.status >= HTTPStatus.INTERNAL_SERVER_ERROR or fetched.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Unavailable("Another service cannot serve now.", retry_after_s=RETRY_AFTER_S)
    return fetched


async def _body_of(response: httpx2.Response, max_bytes: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NotFetched("its answer is compressed, though none was asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise NotFetched(f"its answer is larger than {max_bytes} bytes")
    return bytes(body)
