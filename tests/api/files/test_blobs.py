"""Blobs in a folder and in a bucket: whole, sealed, bound to their place, and gone when removed."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.files.blobs import Blobs, Written, begun_at, new_blob_id
from api.storage.target import Folder, Target, open_target
from api.vault.keys import DataKey, fresh_key
from configs.errors import Unavailable, Unreadable
from tests.fixtures.backups import BUCKET, use_bucket
from tests.fixtures.disks import small_disk

PART = 64
KEY, OTHER = DataKey("dk_1", fresh_key()), DataKey("dk_2", fresh_key())
TEXT = b"the-owl-flies-at-midnight " * 20


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    if request.param == "folder":
        return Folder(tmp_path / "files")
    use_bucket(monkeypatch, request.getfixturevalue("s3_address"))
    return open_target(f"s3://{BUCKET}/files")


async def written(blobs: Blobs, name: str, content: bytes, key: DataKey = KEY, step: int = 50) -> Written:
    writing = blobs.begin(key, name)
    for start in range(0, len(content), step):
        await writing.add(content[start : start + step])
    return await writing.finish()


async def content_of(blobs: Blobs, name: str, size: int, key: DataKey = KEY) -> bytes:
    return b"".join([piece async for piece in blobs.read(key, name, size)])


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 1000])
async def test_what_is_written_is_read(target: Target, size: int) -> None:
    blobs, content = Blobs(target, PART), os.urandom(size)
    made = await written(blobs, "b1", content)
    assert made.size == size
    assert await content_of(blobs, "b1", size) == content
    assert await blobs.ids() == {"b1"}
    await blobs.remove("b1")
    await blobs.remove("b1")
    assert await blobs.ids() == set()
    with pytest.raises(Unreadable):
        await content_of(blobs, "b1", size)


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 300))
def test_an_address_tells_equal_content_to_its_owner_only(content: bytes, step: int) -> None:
    async def addresses() -> None:
        with tempfile.TemporaryDirectory() as folder:
            blobs = Blobs(Folder(Path(folder)), PART)
            made = await written(blobs, "b1", content, step=step)
            assert made == await written(blobs, "b2", content)
            assert made.address != (await written(blobs, "b3", content + b"x")).address
            assert made.address != (await written(blobs, "b4", content, OTHER)).address

    asyncio.run(addresses())


async def test_nothing_lies_there_in_the_clear(tmp_path: Path) -> None:
    blobs = Blobs(Folder(tmp_path), PART)
    await written(blobs, "b1", TEXT)
    await written(blobs, "b2", TEXT)
    files = files_below(tmp_path)
    assert len({path.read_bytes() for path in files}) == len(files) > 2
    for path in files:
        assert b"owl" not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_part_opens_in_its_own_place_only(target: Target) -> None:
    blobs, size = Blobs(target, PART), len(TEXT)
    await written(blobs, "b1", TEXT)
    await written(blobs, "b2", TEXT)
    names = list(target.names("blobs/b1/"))
    first, second, last = target.get(names[0]), target.get(names[1]), target.get(names[-1])
    other = target.get("blobs/b2/000000")
    for name, wrong in [(names[0], second), (names[0], other), (names[0], first[:-1]), (names[-1], second)]:
        target.put(name, wrong)
        with pytest.raises(Unreadable):
            await content_of(blobs, "b1", size)
        target.put(names[0], first)
        target.put(names[-1], last)
    assert await content_of(blobs, "b1", size) == TEXT
    for wrong_size in (size - PART, size - 1, size + 1, size + PART):
        with pytest.raises(Unreadable):
            await content_of(blobs, "b1", wrong_size)
    with pytest.raises(Unreadable):
        await content_of(blobs, "b1", size, OTHER)


async def test_who_gives_up_leaves_nothing(target: Target) -> None:
    blobs = Blobs(target, PART)
    writing = blobs.begin(KEY, "b1")
    await writing.add(TEXT)
    assert await blobs.ids() == {"b1"}
    await writing.abandon()
    assert await blobs.ids() == set()


async def test_a_bucket_that_is_gone_is_not_named(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(target, Folder):
        pytest.skip("a folder is made where there is none")
    with pytest.raises(Unavailable) as raised:
        await written(Blobs(open_target("s3://no-such-bucket/files"), PART), "b1", TEXT)
    assert "bucket" not in raised.value.message
    assert raised.value.retry_after_s


async def test_a_full_disk_is_said_and_what_was_written_can_be_removed() -> None:
    with small_disk(1) as disk:
        blobs = Blobs(Folder(disk), 256 * 1024)
        writing = blobs.begin(KEY, "b1")
        with pytest.raises(Unavailable) as raised:
            await writing.add(os.urandom(2**21))
        assert str(disk) not in raised.value.message
        await writing.abandon()
        assert await blobs.ids() == set()
        await written(blobs, "b2", TEXT)
        assert await content_of(blobs, "b2", len(TEXT)) == TEXT


async def test_what_nobody_knows_is_swept_when_it_is_old_enough(target: Target) -> None:
    blobs, (old, lost, young) = Blobs(target, PART), [new_blob_id(at) for at in (1000, 1000, 3000)]
    for name in (old, lost, young, "not-ours"):
        await written(blobs, name, TEXT)
    asked: list[str] = []

    async def known(names: list[str]) -> set[str]:
        asked.extend(names)
        return {old}

    assert await blobs.sweep(known, 2000) == 1
    assert sorted(asked) == sorted([old, lost])
    assert await blobs.ids() == {old, young, "not-ours"}
    assert [begun_at(name) for name in (old, young)] == [1000, 3000]


async def test_what_a_kill_left_half_written_is_swept(tmp_path: Path) -> None:
    blobs, folder = Blobs(Folder(tmp_path), PART), tmp_path / "blobs"
    half, fresh = folder / new_blob_id(1000) / ".draft-1", folder / new_blob_id(9e9) / ".draft-2"
    for path, at in ((half, 1000), (fresh, 9e9)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
        os.utime(path, (at, at))

    async def known(names: list[str]) -> set[str]:
        return set()

    await blobs.sweep(known, 2000)
    assert files_below(tmp_path) == [fresh]
    assert is_gone(half.parent)


def is_gone(folder: Path) -> bool:
    return not folder.exists()
