"""A foreign archive, opened without unpacking it: which of its files are wanted, read within a budget.

An archive says itself how large its files are; here the bytes that come out are counted. It does not
know what they say.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from api.imports import fields
from api.imports.records import Skipped, Unfit
from configs.errors import BadRequest

GIBIBYTE = 1 << 30
MOST_BYTES = 8 * GIBIBYTE
"""Of everything that is read from one archive."""
MOST_RATIO = 200
"""Times that a file may grow when it is unpacked; texts grow tenfold, a bomb a thousandfold."""
RATIO_FREE_BYTES = 1 << 20
MOST_DIRECTORY_BYTES = 32 << 20
"""Of the archive's table of contents: some 200,000 files."""
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ENCRYPTED = 0x1
TAIL_BYTES = 22 + (1 << 16)
IN_END64 = 0xFFFFFFFF
END, END64 = b"PK\x05\x06", b"PK\x06\x06"


@dataclass(frozen=True, slots=True)
class Part:
    """A file that is wanted. `read(n)` gives up to n bytes, and b"" at its end.

    `read` raises:
        Unfit: the file is damaged, or larger than it may be.
    """

    name: str
    read: Callable[[int], bytes]


def parts(path: Path, wanted: re.Pattern[str], wanted_words: str) -> Iterator[Part | Skipped]:
    """The wanted files of the archive, in the order of their names, and a note for each other one.

    A file that is no archive is taken as the one wanted file.

    Raises:
        BadRequest: it is missing, damaged, or has no wanted file.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadRequest(f"{str(path)!r} cannot be read: check the name and who may read it") from error
    if file.read(2) != b"PK":
        file.seek(0)
        return _alone(path, file)
    try:
        _refuse_long_directory(file)
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        file.close()
        raise BadRequest(f"{str(path)!r} is a damaged archive: download it again") from error
    except BadRequest:
        file.close()
        raise
    members = [member for member in archive.infolist() if not member.is_dir()]
    if not any(wanted.fullmatch(member.filename) for member in members):
        archive.close()
        file.close()
        raise BadRequest(f"{str(path)!r} holds no {wanted_words}")
    return _members(file, archive, sorted(members, key=lambda member: member.filename), wanted)


def _alone(path: Path, file: IO[bytes]) -> Iterator[Part | Skipped]:
    with closing(file):
        yield Part(fields.shown(path.name), _Budget(MOST_BYTES).reader(file, MOST_BYTES))


def _members(
    file: IO[bytes], archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], wanted: re.Pattern[str]
) -> Iterator[Part | Skipped]:
    budget = _Budget(MOST_BYTES)
    with closing(file), closing(archive):
        for member in members:
            name = fields.shown(member.filename)
            if not wanted.fullmatch(member.filename):
                yield Skipped("file", name, "only conversations are moved")
            elif member.flag_bits & ENCRYPTED or member.compress_type not in METHODS:
                yield Skipped("file", name, "it is encrypted, or packed in a way that is not read")
            else:
                yield from _member(archive, member, name, budget)


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, budget: "_Budget"
) -> Iterator[Part | Skipped]:
    try:
        opened = archive.open(member)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield Skipped("file", name, "it is damaged")
        return
    with closing(opened):
        yield Part(name, budget.reader(opened, RATIO_FREE_BYTES + MOST_RATIO * member.compress_size))


class _Budget:
    """Bytes that may still come out of an archive."""

    def __init__(self, left: int) -> None:
        self._left = left

    def reader(self, file: IO[bytes], most: int) -> Callable[[int], bytes]:
        """A `read` of this file that gives at most `most` bytes and no more than the budget has."""
        given = 0

        def read(size: int) -> bytes:
            nonlocal given
            try:
                data = file.read(size)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                raise Unfit("it is damaged; what came before in it was read") from error
            given += len(data)
            self._left -= len(data)
            if given > most:
                raise Unfit(f"it grows more than {MOST_RATIO} times when it is unpacked; the rest was not read")
            if self._left < 0:
                raise Unfit(f"the archive holds more than {MOST_BYTES // GIBIBYTE} GiB; the rest was not read")
            return data

        return read


def _refuse_long_directory(file: IO[bytes]) -> None:
    """The table of contents is read whole by the library: look at its size first.

    Raises:
        BadRequest: it is too long.
    """
    length = file.seek(0, io.SEEK_END)
    file.seek(max(length - TAIL_BYTES, 0))
    tail = file.read()
    end = len(tail) - 22 if tail[-22:-18] == END and tail[-2:] == b"\0\0" else tail.rfind(END)
    size = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    end64 = tail.rfind(END64)
    if end64 >= 0:
        size = max(size if size != IN_END64 else 0, int.from_bytes(tail[end64 + 40 : end64 + 48], "little"))
    file.seek(0)
    if size > MOST_DIRECTORY_BYTES:
        raise BadRequest(f"the archive lists more files than {MOST_DIRECTORY_BYTES >> 20} MiB of names can tell")
