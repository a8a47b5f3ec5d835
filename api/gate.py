"""The gate: what every request passes before any route sees it.

It names the request and its peer, refuses foreign host names, caps its body in size, time and depth, and lets only
strict JSON through: valid UTF-8, no lone surrogates, no NaN, no number beyond a double, no NUL. orjson refuses most of
that by itself. The gate is plain ASGI: a route's answer passes it with more headers and otherwise untouched. It knows
no route.
"""

import asyncio
import contextlib
import re
import uuid
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

import orjson

from api.context import SCOPE_KEY, Context
from api.errors import response_of
from api.headers import HSTS, Header, completed
from api.hosts import LOCAL, Hosts, name_of
from api.origins import Origins
from api.peer import networks_of, peer_of
from configs.errors import BadRequest, BodyTimedOut, MantaError, PayloadTooLarge
from configs.specs import GeneralSettings, IngressSpec

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Observe = Callable[[Context], None]

REQUEST_ID = re.compile(rb"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
BODY_TIMEOUT_S = 60.0
WALKED_HERE_BYTES = 64 * 1024
MAX_STRING_NUL = b"\\u0000"
JSON_TYPES = {b"application/json", b"application/scim+json"}
WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
CLOSE = (b"connection", b"close")
LINGER_S, LINGER_BYTES = 10.0, 64 * 2**20


class Upload:
    """A body that its route reads. What is answered before it is over lets some more of it pass unread first.

    Clients send the whole body before they look for an answer, and a connection that is closed with bytes unread takes
    the answer with it.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.over = False

    async def linger(self) -> None:
        """Read on, for a while."""
        left = LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self.over and left > 0:
                    left -= len((await self()).get("body", b""))

    async def __call__(self) -> Message:
        """ASGI's `receive`."""
        message = await self._receive()
        self.over = not message.get("more_body", False)
        return message


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: App,
        limits: IngressSpec,
        settings: GeneralSettings,
        observe: Observe,
        uploads: Collection[tuple[str, str]] = (),
    ) -> None:
        """`uploads` (method and path) read their bodies themselves, when they know who asks."""
        self._app = app
        self._uploads = frozenset(uploads)
        self._limits = limits
        self._hosts = Hosts.of(settings)
        self._origins = Origins.of(settings)
        self._proxies = networks_of(settings.trusted_proxies)
        self._observe = observe

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        context = scope[SCOPE_KEY] = make_context(headers)
        context.path = scope["path"]
        self._place(scope, headers, context)
        upload = Upload(receive) if (scope["method"], scope["path"]) in self._uploads else None
        send_named = self._named(send, context, upload)
        try:
            self._hosts.check(headers.get(b"host", b""))
            if scope["method"] == "OPTIONS" and (granted := self._origins.preflight(headers)) is not None:
                await self._grant(granted, send_named)
                return
            if "\0" in scope["path"] or b"%00" in scope["query_string"]:
                raise BadRequest("An address may not contain NUL characters.")
            if scope["method"] in WITH_BODY and upload is None:
                context.body = await self._read(headers, receive)
                if context.body and kind_of(headers) in JSON_TYPES:  # SDKs name the type of a body that they leave out
                    context.json = await self._parsed(context.body)
        except MantaError as error:
            await response_of(error, context.request_id, context.path)(scope, receive, send_named)
        else:
            await self._app(scope, upload or receive, send_named)
        finally:
            self._observe(context)

    @staticmethod
    def _named(send: Send, context: Context, upload: Upload | None) -> Send:
        """`send`, with what every answer carries."""

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                if upload is not None:
                    await upload.linger()
                context.status = message["status"]
                message["headers"] = completed([*message.get("headers", ()), *identity_headers(context)])
                if upload is not None and not upload.over and CLOSE not in message["headers"]:
                    message["headers"].append(CLOSE)
            await send(message)

        return send_named

    def _place(self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes], context: Context) -> None:
        """Where the request comes from: a proxy's word about TLS becomes the scope's, its address the context's."""
        peer = peer_of(scope, self._proxies)
        context.address = peer.address
        context.headers = self._origins.headers(headers)
        if peer.https:
            scope["scheme"] = "https"
            if name_of(headers.get(b"host", b"")) != LOCAL:  # other servers of a developer's machine have that name too
                context.headers += (HSTS,)

    @staticmethod
    async def _grant(granted: tuple[Header, ...], send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": list(granted)})
        await send({"type": "http.response.body", "body": b""})

    async def _parsed(self, body: bytes) -> Any:  # noqa: ANN401  any JSON
        """A large body is walked beside the loop, on which every stream would wait for it."""
        if len(body) > WALKED_HERE_BYTES:
            return await asyncio.to_thread(parse, body, self._limits.max_json_depth)
        return parse(body, self._limits.max_json_depth)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit = self._limits.max_body_bytes
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise BadRequest("The client left before its request was complete.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
                    if not message.get("more_body", False):
                        return b"".join(parts) if len(parts) > 1 else parts[0]
        except TimeoutError as error:
            raise BodyTimedOut(f"The body did not arrive within {BODY_TIMEOUT_S:g} seconds.") from error


def kind_of(headers: dict[bytes, bytes]) -> bytes:
    """The body's media type."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def make_context(headers: dict[bytes, bytes]) -> Context:
    """With the caller's `x-request-id` where it is harmless, else with one of ours."""
    given, own = headers.get(b"x-request-id", b""), uuid.uuid4().hex
    return Context(given.decode() if REQUEST_ID.match(given) else own, own)


def identity_headers(context: Context) -> list[tuple[bytes, bytes]]:
    """What every answer carries."""
    return [
        (b"x-request-id", context.request_id.encode()),
        (b"openai-processing-ms", b"%d" % context.elapsed_ms()),
        *context.headers,
    ]


def parse(body: bytes, max_depth: int) -> Any:  # noqa: ANN401  any JSON
    """Strict JSON.

    Raises:
        BadRequest: it is not; the message never repeats the input.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no valid JSON (line {error.lineno}, column {error.colno}).") from None
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > max_depth or MAX_STRING_NUL in body:
        _walk(value, max_depth)
    return value


def _walk(value: Any, max_depth: int) -> None:  # noqa: ANN401  any JSON
    level, depth = [value], 0
    while level:
        depth += any(isinstance(item, dict | list) for item in level)
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if "\0" in item:
                    raise BadRequest("Text may not contain NUL characters.")
            elif isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if depth > max_depth:
            raise PayloadTooLarge(f"The body is nested deeper than {max_depth} levels.")
        level = below
