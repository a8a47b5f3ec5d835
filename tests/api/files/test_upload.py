"""Uploads that end well leave a file, and all others leave nothing."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from api.files.blobs import Blobs
from api.files.form import Form
from api.files.upload import FORM_BYTES, Receive, Received, body_of, take
from api.storage.target import Folder
from configs.errors import BadRequest, BodyTimedOut, MantaError, PayloadTooLarge
from tests.api.files.test_blobs import KEY, content_of
from tests.api.files.test_form import KIND, sent

LIMIT, PART = 10_000, 256
CONTENT = os.urandom(3000)


def arriving(*pieces: bytes, end: MutableMapping[str, Any] | None = None) -> Receive:
    """A server's `receive`; with `end` that message comes instead of the last piece's end."""
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    messages.append(end or {"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> MutableMapping[str, Any]:
        return next(waiting)

    return receive


def cut(body: bytes, size: int = 500) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


async def uploaded(blobs: Blobs, kind: bytes, receive: Receive, headers: dict[bytes, bytes] | None = None) -> Received:
    return await take(Form(kind, LIMIT), body_of(headers or {}, receive, LIMIT, 0.05), blobs.begin(KEY, "b1"))


async def test_a_whole_upload_is_kept(tmp_path: Path) -> None:
    kind, body = sent(CONTENT, "a.txt")
    blobs = Blobs(Folder(tmp_path), PART)
    made = await uploaded(blobs, kind, arriving(*cut(body)), {b"content-length": b"%d" % len(body)})
    assert (made.filename, made.fields["purpose"], made.written.size) == ("a.txt", "user_data", len(CONTENT))
    assert await content_of(blobs, "b1", made.written.size) == CONTENT


async def never() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("how", ["cut", "left", "silent", "long", "file too long"])
async def test_what_goes_wrong_leaves_nothing(tmp_path: Path, how: str) -> None:
    kind, body = sent(CONTENT, "a.txt")
    blobs, pieces = Blobs(Folder(tmp_path), PART), cut(body)
    whole = arriving(*pieces[:4], end={"type": "http.disconnect"})

    async def then_silent() -> MutableMapping[str, Any]:
        message = await whole()
        return message if message["type"] == "http.request" else await never()

    ways: dict[str, tuple[bytes, Receive, type[MantaError]]] = {
        "cut": (kind, arriving(*pieces[:4]), BadRequest),
        "left": (kind, whole, BadRequest),
        "silent": (kind, then_silent, BodyTimedOut),
        "long": (KIND, arriving(*[b"x" * 1000] * 1000), MantaError),
        "file too long": (*_long(), PayloadTooLarge),
    }
    content_type, receive, error = ways[how]
    with pytest.raises(error):
        await uploaded(blobs, content_type, receive)
    assert await blobs.ids() == set()


def _long() -> tuple[bytes, Receive]:
    kind, body = sent(b"x" * (LIMIT + 1), "a.txt")
    return kind, arriving(*cut(body))


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    for length in (b"%d" % (LIMIT + FORM_BYTES + 1), b"-1", b"x"):
        with pytest.raises(PayloadTooLarge):
            await anext(body_of({b"content-length": length}, never, LIMIT))


async def test_a_body_that_does_not_say_is_counted() -> None:
    pieces = body_of({}, arriving(*[b"x" * 1000] * 1000), LIMIT)
    with pytest.raises(PayloadTooLarge):
        async for _ in pieces:
            pass


async def test_a_body_that_drips_for_hours_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.files.upload.TOTAL_S", -1.0)
    with pytest.raises(BodyTimedOut):
        await anext(body_of({}, arriving(b"x"), LIMIT))


async def test_a_cancelled_upload_leaves_nothing_though_a_part_is_just_written(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Folder):
        """A disk that takes its time."""

        def put(self, name: str, content: bytes) -> None:
            begun.set()
            go_on.wait(30)
            super().put(name, content)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in cut(body):
            yield piece

    kind, body = sent(CONTENT, "a.txt")
    blobs = Blobs(Slow(tmp_path), PART)
    upload = asyncio.create_task(take(Form(kind, LIMIT), pieces(), blobs.begin(KEY, "b1")))
    assert await asyncio.to_thread(begun.wait, 30)
    upload.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await blobs.ids() == set()
