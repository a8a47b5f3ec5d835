"""`/v1/files` through the real SDK and over a real socket."""

import asyncio
import hashlib
import os
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError, ConflictError, NotFoundError

from api import gate
from api.idempotency import REPLAYED
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import Application, application
from tests.fixtures.uploads import SENTENCE, blobs, found_on_disk, sdk


async def test_a_files_life(app: Application, fresh: str) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        content = os.urandom(9 * 2**20) + SENTENCE
        made = await client.files.create(file=("heron ä.txt", content), purpose="user_data")
        assert (made.object, made.bytes, made.filename, made.purpose, made.status, made.expires_at) == (
            "file", len(content), "heron ä.txt", "user_data", "processed", None,
        )  # fmt: skip
        assert made.id.startswith("file-")
        assert await client.files.retrieve(made.id) == made
        read = await client.files.content(made.id)
        assert hashlib.sha256(read.read()).digest() == hashlib.sha256(content).digest()
        assert not found_on_disk(app, SENTENCE)
        assert (await client.files.delete(made.id)).deleted
        for gone in (client.files.retrieve(made.id), client.files.content(made.id), client.files.delete(made.id)):
            with pytest.raises(NotFoundError):
                await gone


async def test_an_empty_file_is_one(app: Application, fresh: str) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        made = await client.files.create(file=("empty.txt", b""), purpose="user_data")
        assert made.bytes == 0
        assert (await client.files.content(made.id)).read() == b""


async def test_pages(app: Application, fresh: str) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        names = [f"{number}.txt" for number in range(5)]
        for name in names:
            purpose: Any = "batch" if name == "2.txt" else "assistants"
            await client.files.create(file=(name, name.encode()), purpose=purpose)
        assert [file.filename async for file in client.files.list(limit=2)] == names[::-1]
        assert [file.filename async for file in client.files.list(limit=2, order="asc")] == names
        assert [file.filename async for file in client.files.list(purpose="batch")] == ["2.txt"]


async def test_files_are_deleted_while_their_list_is_read(app: Application, fresh: str) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        made = [(await client.files.create(file=(f"{n}.txt", b"x"), purpose="assistants")).id for n in range(5)]
        page = await client.files.list(limit=2)
        await client.files.delete(page.data[-1].id)
        assert [file.id for file in (await page.get_next_page()).data] == made[1:3][::-1]
        async for file in client.files.list(limit=2):
            await client.files.delete(file.id)
        assert [each async for each in client.files.list()] == []
        for unknown in ("none", "file-" + "f" * 24, "file-" + "f" * 37):
            with pytest.raises(BadRequestError, match="reads all of the list first") as told:
                await client.files.list(after=unknown)
            assert told.value.param == "after"
        assert [each async for each in client.files.list(after="file-" + "f" * 38)] == []


async def test_nobody_sees_the_files_of_another(app: Application, fresh: str) -> None:
    one, other = await app.register(f"{fresh}a"), await app.register(f"{fresh}b", "owner")
    async with sdk(app, one) as mine, sdk(app, other) as theirs:
        made = await mine.files.create(file=("a.txt", b"a"), purpose="user_data")
        for asked in (theirs.files.retrieve(made.id), theirs.files.content(made.id), theirs.files.delete(made.id)):
            with pytest.raises(NotFoundError):
                await asked
        assert [file async for file in theirs.files.list()] == []
        assert (await mine.files.retrieve(made.id)).id == made.id


async def test_equal_content_of_one_person_is_stored_once(app: Application, fresh: str) -> None:
    one, other = await app.register(f"{fresh}a"), await app.register(f"{fresh}b")
    before = len(blobs(app))
    async with sdk(app, one) as mine, sdk(app, other) as theirs:
        first, second = [
            await mine.files.create(file=(name, SENTENCE), purpose="user_data") for name in ("a.txt", "b.txt")
        ]
        assert len(blobs(app)) == before + 1
        elsewhere = await theirs.files.create(file=("a.txt", SENTENCE), purpose="user_data")
        assert len(blobs(app)) == before + 2
        await mine.files.delete(first.id)
        assert (await mine.files.content(second.id)).read() == SENTENCE
        await mine.files.delete(second.id)
        assert len(blobs(app)) == before + 1
        assert (await theirs.files.content(elsewhere.id)).read() == SENTENCE


async def test_an_upload_that_is_sent_twice_is_one_file(app: Application, fresh: str) -> None:
    person, before = await app.register(fresh), len(blobs(app))

    async def send(content: bytes) -> Any:
        return await person.http.post(
            "/v1/files",
            headers={**person.headers, "idempotency-key": "k-1"},
            data={"purpose": "user_data"},
            files={"file": ("a.txt", content)},
        )

    first, again = await send(SENTENCE), await send(SENTENCE)
    assert (first.status_code, again.json(), again.headers[REPLAYED]) == (200, first.json(), "true")
    assert (await send(b"another")).status_code == 422
    assert len(blobs(app)) == before + 1


REFUSED: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "no form": ({"json": {"purpose": "user_data"}}, 400, None),
    "no file": ({"files": {"purpose": (None, "user_data")}}, 400, "file"),
    "no purpose": ({"files": {"file": ("a", b"a")}}, 400, "purpose"),
    "another purpose": ({"data": {"purpose": "x"}, "files": {"file": ("a", b"a")}}, 400, "purpose"),
    "an unknown field": ({"data": {"purpose": "batch", "x": "1"}, "files": {"file": ("a", b"a")}}, 400, "x"),
    "too soon over": (
        {
            "data": {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "5"},
            "files": {"file": ("a", b"a")},
        },
        400,
        "expires_after.seconds",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_leaves_nothing(app: Application, fresh: str, case: str) -> None:
    person, before = await app.register(fresh), blobs(app)
    options, status, param = REFUSED[case]
    answer = await person.http.post("/v1/files", headers=person.headers, **options)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    assert blobs(app) == before


async def test_who_has_no_key_is_told_so_and_does_not_hold_the_line(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pieces(count: int) -> Any:
        for _ in range(count):
            yield b"x" * 65536
            await asyncio.sleep(0.01)

    async def send(count: int) -> httpx2.Response:
        headers = {"content-type": "multipart/form-data; boundary=b", "authorization": "Bearer sk-wrong"}
        async with app.client() as http:
            return await http.post("/v1/files", headers=headers, content=pieces(count))

    assert (await send(32)).status_code == 401
    monkeypatch.setattr(gate, "LINGER_S", 0.5)
    try:
        assert (await asyncio.wait_for(send(10_000), 30)).status_code == 401
    except (httpx2.ReadError, httpx2.WriteError):  # the rest of an endless body was not waited for
        assert (await send(1)).status_code == 401


async def test_sizes_and_quotas(postgres: EmbeddedPostgres, fresh: str) -> None:
    limits = {"max_file_bytes": 1000, "quota_bytes_per_user": 1500, "quota_bytes": 2000}
    org = f"org_{fresh}"
    async with application(postgres, files=limits) as app:
        one, other = await app.register(f"{fresh}a", "member", org), await app.register(f"{fresh}b", "member", org)
        async with sdk(app, one) as mine, sdk(app, other) as theirs:
            large = await one.http.post(
                "/v1/files", headers=one.headers, data={"purpose": "batch"}, files={"file": ("a", b"x" * 200_000)}
            )
            assert large.status_code == 413
            sent = await asyncio.gather(
                *(mine.files.create(file=(f"{n}", os.urandom(600)), purpose="batch") for n in range(4)),
                return_exceptions=True,
            )
            assert sum(not isinstance(each, Exception) for each in sent) == 2
            with pytest.raises(ConflictError, match="the organization's files"):
                await theirs.files.create(file=("a", os.urandom(900)), purpose="batch")
            await theirs.files.create(file=("a", os.urandom(800)), purpose="batch")
            assert len(blobs(app)) == 3


async def test_a_key_without_the_right_is_refused(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    body = {"name": "k", "permissions": ["files:read"]}
    key = (await person.http.post("/api/keys", json=body, headers=person.headers)).json()["key"]
    async with AsyncOpenAI(base_url=f"{app.origin}/v1", api_key=key, max_retries=0) as client:
        assert [file async for file in client.files.list()] == []
        with pytest.raises(Exception, match="files:write"):
            await client.files.create(file=("a.txt", b"a"), purpose="user_data")
    with pytest.raises(BadRequestError):
        async with sdk(app, person) as mine:
            await mine.files.list(limit=0)
