"""What lies in a folder or behind an address and can be indexed, and what is left out and why. It knows no server."""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from api.fetch import Fetched, Fetcher, NotFetched
from configs.errors import BadRequest, Unavailable, Unreadable
from retrieval import formats
from retrieval.documents import Limits
from retrieval.encodings import decode

MAX_PATH = 512
"""Characters of an attribute."""
SOURCE_DIGITS = 16
SNIFF_BYTES = 4096
TEXT_MARKS = (b"\xff\xfe", b"\xfe\xff")
HIDDEN = "hidden"
GOOD = range(200, 300)
PAGE_BYTES = 2**20
PAGE_TIMEOUT_S = 120.0
LATIN = {"iso-8859-1", "iso8859-1", "latin1", "us-ascii"}
"""What means Windows-1252 on the web (WHATWG, Encoding, 4.2)."""


@dataclass(frozen=True, slots=True)
class Local:
    """Something to index. `path` names it in the store; `digest` is the SHA-256 of its content.

    `source` tells folders and files of one name apart, and not where they lie; an address needs none.
    """

    path: str
    name: str
    digest: str
    content: Path | bytes = field(repr=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """One that was looked through; the paths of its files begin with `label`."""

    label: str
    source: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is left out."""

    path: str
    why: str


@dataclass(slots=True)
class Gathered:
    """All of it."""

    files: list[Local] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)


def gather(sources: Sequence[str], page_bytes: int = PAGE_BYTES) -> Gathered:
    """Look through folders, files and `https://` addresses; a page has at most `page_bytes`.

    Raises:
        BadRequest: one is not there, or cannot be read.
        Unavailable: an address does not answer.
    """
    found = Gathered()
    for source in sources:
        if "://" in source:
            found.files.append(fetched(source, page_bytes))
        elif Path(source).is_dir():
            _add_folder(found, Path(source).resolve())
        elif Path(source).is_file():
            path = Path(source)
            _add(found, path, path.name, source_of(path.parent.resolve() / path.name))
        else:
            raise BadRequest(f"there is no folder or file {source!r}")
    _refuse_twins(found.files)
    return found


def source_of(place: Path) -> str:
    """What stands for a place on this machine and does not tell it: everybody who searches sees a file's attributes."""
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:SOURCE_DIGITS]


def fetched(url: str, max_bytes: int = PAGE_BYTES) -> Local:
    """One page. Errors as `gather`."""

    async def ask() -> bytes:
        fetcher = Fetcher(timeout_s=PAGE_TIMEOUT_S, max_bytes=max_bytes)
        try:
            answer = await fetcher.page(url)
        finally:
            await fetcher.close()
        if answer.status not in GOOD:
            raise BadRequest(f"{url} answered with status {answer.status}")
        return _plain(answer)

    if len(url) > MAX_PATH:
        raise BadRequest(f"the address has more than {MAX_PATH} characters: {url[:64]}…")
    try:
        body = asyncio.run(ask())
    except NotFetched as error:
        raise BadRequest(f"{url} cannot be taken: {error}") from error
    except Unavailable as error:
        raise Unavailable(f"{url} does not answer: save the page, and give the file") from error
    return Local(url, page_name(url), hashlib.sha256(body).hexdigest(), body)


def _plain(answer: Fetched) -> bytes:
    """What was answered; a text in an encoding that only the answer tells is made UTF-8, for no file tells it."""
    if answer.charset is None or not (answer.media_type.startswith("text/") or answer.media_type.endswith("xml")):
        return answer.body
    try:
        answer.body.decode()
    except UnicodeDecodeError:
        charset = "cp1252" if answer.charset.lower() in LATIN else answer.charset
        with suppress(Unreadable):
            return decode(answer.body, charset).encode()
    return answer.body


def page_name(url: str) -> str:
    """A file name for what an address shows; its suffix tells how it is read."""
    parts = urlsplit(url)
    last = PurePosixPath(unquote(parts.path)).name or parts.netloc
    return last if _suffix(last) in _suffixes() else f"{last}.html"


def _add_folder(found: Gathered, root: Path) -> None:
    label = root.name or "root"
    source = source_of(root)
    found.folders.append(Folder(f"{label}/", source))
    for path, why in _walked(root):
        name = f"{label}/{path.relative_to(root).as_posix()}"
        if why is not None:
            found.skipped.append(Skipped(name, why))
        else:
            _add(found, path, name, source)


def _walked(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Everything below, in order, and why it is not looked at."""
    closed: list[OSError] = []
    for place, folders, files in os.walk(root, onerror=closed.append):
        here, kept = Path(place), []
        for name in sorted(folders):
            if name.startswith("."):
                yield here / name, HIDDEN
            elif (here / name).is_symlink():
                yield here / name, "a link to a folder"
            else:
                kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            path = here / name
            if name.startswith("."):
                yield path, HIDDEN
            elif path.is_symlink() and not path.resolve().is_relative_to(root):
                yield path, "a link out of the folder"
            else:
                yield path, None
    for error in closed:
        yield Path(str(error.filename)), f"cannot be read ({error.strerror})"


def _add(found: Gathered, path: Path, name: str, source: str) -> None:
    why = _obstacle(path, name)
    if why is None:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
        else:
            found.files.append(Local(name, path.name, digest, path, source))
            return
    found.skipped.append(Skipped(name, why))


def _obstacle(path: Path, name: str) -> str | None:
    if len(name) > MAX_PATH:
        return f"its path has more than {MAX_PATH} characters"
    if name != name.encode(errors="replace").decode():
        return "its name is no valid text"
    if not path.is_file():
        return "no file"
    try:
        with path.open("rb") as file:
            return _unread(path, file.read(SNIFF_BYTES))
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _unread(path: Path, first: bytes) -> str | None:
    """Why no parser would take a file that begins like this."""
    if not first:
        return "empty"
    binary = b"\0" in first and not first.startswith(TEXT_MARKS)
    if _suffix(path.name) not in _suffixes() and binary and not _recognised(first):
        return "a format that is not read"
    return None


def _suffixes() -> set[str]:
    return {suffix for each in formats.known(Limits()) for suffix in each.suffixes}


def _recognised(first: bytes) -> bool:
    known = formats.known(Limits())
    return any(each.certain and each.recognises is not None and each.recognises(first) for each in known)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _refuse_twins(files: Sequence[Local]) -> None:
    seen: set[str] = set()
    for each in files:
        if each.path in seen:
            raise BadRequest(
                f"two of the sources have {each.path!r}: give each a store of its own by --store, or rename one"
            )
        seen.add(each.path)
