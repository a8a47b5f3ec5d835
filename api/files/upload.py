"""One upload from its first byte to its last: counted, with a limit on silence, and all or nothing.

It knows neither routes nor who uploads: whoever calls it has checked the key before a byte is read.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from api.files.blobs import Writing, Written
from api.files.form import Form
from configs.errors import BadRequest, BodyTimedOut, PayloadTooLarge, Unavailable

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
SILENCE_S = 60.0
"""How long a client may send nothing."""
TOTAL_S = 6 * 3600.0
"""How long a whole body may take, however steadily it drips."""
FORM_BYTES = 64 * 1024
"""What a form may have besides its file: fields, heads and boundaries."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole upload: the file's name, the form's other fields, and what became of the content."""

    filename: str
    fields: Mapping[str, str]
    written: Written


async def body_of(
    headers: Mapping[bytes, bytes], receive: Receive, max_file_bytes: int, silence_s: float = SILENCE_S
) -> AsyncIterator[bytes]:
    """The body of an ASGI request, piece by piece.

    Raises:
        PayloadTooLarge: it says that it is larger than a form with such a file, which is told before anything is read,
            or it is.
        BodyTimedOut: nothing came for `silence_s`, or it takes longer than `TOTAL_S`.
        BadRequest: the client left.
    """
    limit, size = max_file_bytes + FORM_BYTES, 0
    too_large = PayloadTooLarge(f"The file is larger than {max_file_bytes} bytes.", param="file")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise too_large
    more, begun_at = True, time.monotonic()
    while more:
        if time.monotonic() - begun_at > TOTAL_S:
            raise BodyTimedOut(f"The body did not arrive within {TOTAL_S:g} seconds.")
        try:
            async with asyncio.timeout(silence_s):
                message = await receive()
        except TimeoutError as error:
            raise BodyTimedOut(f"Nothing of the body arrived for {silence_s:g} seconds.") from error
        if message["type"] == "http.disconnect":
            raise BadRequest("The client left before its request was complete.")
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > limit:
            raise too_large
        yield piece


async def take(form: Form, pieces: AsyncIterator[bytes], writing: Writing) -> Received:
    """Keep the file of a form; whatever goes wrong, nothing of it stays.

    Raises:
        BadRequest, PayloadTooLarge, BodyTimedOut: see `Form` and `body_of`.
        Unavailable: the place of the files is full or cannot be reached.
    """
    try:
        async for piece in pieces:
            for content in form.feed(piece):
                await writing.add(content)
        filename = form.finish()
        return Received(filename, form.fields, await writing.finish())
    except BaseException:
        with contextlib.suppress(
            Unavailable
        ):  # what went wrong first is the answer; what stays has no row: it is swept
            await writing.abandon()
        raise
