import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from api.cli import local_files
from api.cli.local_files import Folder, gather, page_name, source_of
from configs.errors import BadRequest, Unavailable
from tests.fixtures.servers import Served, served
from tests.fixtures.stack import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "handbook"
    (root / "deep" / "er").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("x")
    (root / "a.md").write_text("# A")
    (root / "deep" / "er" / "b.txt").write_text("b")
    (root / "Makefile").write_text("all:\n")
    (root / "utf16").write_bytes("words".encode("utf-16"))
    (root / "empty.txt").write_text("")
    (root / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 100)
    (root / ".hidden").write_text("x")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "same.txt").symlink_to(root / "a.md")
    (root / "loop").symlink_to(root)
    (root / "broken.txt").symlink_to(root / "nowhere")
    return root


def test_a_folder_is_taken_with_what_can_be_read(folder: Path) -> None:
    found = gather([str(folder)])
    assert [each.path for each in found.files] == [
        "handbook/Makefile", "handbook/a.md", "handbook/same.txt", "handbook/utf16", "handbook/deep/er/b.txt",
    ]  # fmt: skip
    assert found.folders == [Folder("handbook/", source_of(folder))]
    assert {each.source for each in found.files} == {source_of(folder)}
    assert {each.path: each.why for each in found.skipped} == {
        "handbook/.git": "hidden",
        "handbook/.hidden": "hidden",
        "handbook/broken.txt": "no file",
        "handbook/empty.txt": "empty",
        "handbook/loop": "a link to a folder",
        "handbook/out.txt": "a link out of the folder",
        "handbook/photo.jpg": "a format that is not read",
    }
    (b,) = (each for each in found.files if each.name == "b.txt")
    assert b.digest == hashlib.sha256(b"b").hexdigest()
    assert b.content == folder / "deep" / "er" / "b.txt"


def test_single_files_have_their_name_as_path(folder: Path) -> None:
    found = gather([str(folder / "a.md"), str(folder / "deep" / "er" / "b.txt")])
    assert [each.path for each in found.files] == ["a.md", "b.txt"]
    assert [each.source for each in found.files] == [source_of(folder / "a.md"), source_of(folder / "deep/er/b.txt")]
    assert found.folders == []


def test_names_that_are_no_text_or_too_long_are_left_out(tmp_path: Path) -> None:
    place = tmp_path
    for _ in range(3):
        place = place / ("d" * 200)
        place.mkdir()
    (place / "a.txt").write_text("a")
    (tmp_path / "bad\udce9.txt").write_text("a")
    found = gather([str(tmp_path)])
    assert found.files == []
    assert sorted(each.why for each in found.skipped) == [
        "its name is no valid text", "its path has more than 512 characters",
    ]  # fmt: skip


def test_what_is_not_there_or_twice_is_refused(folder: Path) -> None:
    with pytest.raises(BadRequest, match="no folder or file"):
        gather([str(folder / "nowhere")])
    with pytest.raises(BadRequest, match=r"a\.md"):
        gather([str(folder / "a.md"), str(folder / "a.md")])


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/", "example.com.html"),
        ("https://example.com/a/page", "page.html"),
        ("https://example.com/a/paper.pdf?x=1", "paper.pdf"),
        ("https://example.com/a%20b.md", "a b.md"),
    ],
)
def test_a_page_has_a_name_that_tells_how_it_is_read(url: str, name: str) -> None:
    assert page_name(url) == name


def answers() -> dict[str, Response]:
    greek = {"content-type": "text/html; charset=greek"}
    return {
        "page": PlainTextResponse("<h1>Herons</h1>"),
        "moved": RedirectResponse("/page#first"),
        "round": RedirectResponse("/round"),
        "away": RedirectResponse("https://169.254.169.254/latest?secret=1"),
        "large": Response(b"%PDF-1.7" + b" " * 2**20, media_type="application/pdf"),
        "greek": Response("<p>Ερωδιός</p>".encode("iso8859-7"), headers=greek),
        "gone": PlainTextResponse("no", 404),
    }


async def answer(request: Request) -> Response:
    return answers()[request.path_params["what"]]


@pytest.fixture
async def site() -> AsyncIterator[Served]:
    async with served(Starlette(routes=[Route("/{what}", answer)])) as at:
        yield at


async def test_a_page_is_fetched_and_known_by_its_address(site: Served) -> None:
    found = await asyncio.to_thread(gather, [f"{site.url}/page"])
    (page,) = found.files
    assert (page.path, page.name, page.content) == (f"{site.url}/page", "page.html", b"<h1>Herons</h1>")
    (moved,) = (await asyncio.to_thread(gather, [f"{site.url}/moved"])).files
    assert (moved.path, moved.digest) == (f"{site.url}/moved", page.digest)
    refused = {"gone": "status 404", "round": "more than 5 times", "away": r"169\.254/latest: ", "large": "larger"}
    for what, told in refused.items():
        with pytest.raises(BadRequest, match=told):
            await asyncio.to_thread(gather, [f"{site.url}/{what}"])
    (large,) = (await asyncio.to_thread(gather, [f"{site.url}/large"], 2 * 2**20)).files
    assert isinstance(large.content, bytes)
    assert len(large.content) == 2**20 + 8
    (greek,) = (await asyncio.to_thread(gather, [f"{site.url}/greek"])).files
    assert greek.content == "<p>Ερωδιός</p>".encode()


@pytest.mark.parametrize(
    "url", ["http://example.com/", "ftp://example.com/a", "https://169.254.169.254/latest", "https://" + "a" * 600]
)
def test_addresses_that_may_not_be_asked_are_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        local_files.fetched(url)


def test_a_page_that_does_not_answer_is_told() -> None:
    with pytest.raises(Unavailable, match="save the page"):
        local_files.fetched(f"http://127.0.0.1:{free_port()}/")
