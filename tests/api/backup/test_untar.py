"""What a cluster's tar may hold, and what it may not."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.backup.untar import unpack
from configs.errors import DamagedBackup

CONTENT = {"PG_VERSION": b"18\n", "base/1/2": os.urandom(100_001), "base/1/empty": b"", "global/block": b"x" * 512}


def archive(*more: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name in ("base", "base/1", "global"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
        for name, content in CONTENT.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        for member in more:
            file.addfile(member)
    return made.getvalue()


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


@pytest.mark.parametrize("size", [1000, 511, 2**20])
def test_files_come_out_as_they_went_in(tmp_path: Path, size: int) -> None:
    unpack(pieces(archive(), size), tmp_path / "new", None)
    found = {path.relative_to(tmp_path / "new").as_posix(): path for path in (tmp_path / "new").rglob("*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == CONTENT
    modes = {stat.S_IMODE(path.stat().st_mode) for path in found.values()}
    assert modes == {0o600, 0o700}


def test_all_of_the_stream_is_read(tmp_path: Path) -> None:
    """What proves it raises at its end."""

    def proven() -> Iterator[bytes]:
        yield archive()
        raise DamagedBackup("not the last chunk")

    with pytest.raises(DamagedBackup, match="not the last chunk"):
        unpack(proven(), tmp_path / "new", None)


def named(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "elsewhere"
    return member


@pytest.mark.parametrize(
    "member",
    [
        named("../out"), named("/out"), named("base/../../out"), named("link", tarfile.SYMTYPE),
        named("hard", tarfile.LNKTYPE), named("device", tarfile.CHRTYPE), named("pipe", tarfile.FIFOTYPE),
        named("pax", tarfile.XHDTYPE), named("long", tarfile.GNUTYPE_LONGNAME),
    ],
    ids=lambda member: member.name,
)  # fmt: skip
def test_what_belongs_into_no_cluster_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with pytest.raises(DamagedBackup, match="belongs into no cluster"):
        unpack(pieces(archive(member), 4096), tmp_path / "new", None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("length", [0, 100, 512, 5000, 90_000])
def test_one_that_ends_too_early_is_told(tmp_path: Path, length: int) -> None:
    with pytest.raises(DamagedBackup, match="ends too early"):
        unpack(pieces(archive()[:length], 4096), tmp_path / "new", None)


def test_what_is_no_tar_is_told(tmp_path: Path) -> None:
    with pytest.raises(DamagedBackup, match="is no tar"):
        unpack(iter([b"x" * 1024]), tmp_path / "new", None)
