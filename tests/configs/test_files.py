import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs import files
from configs.errors import ConfigurationError
from tests.fixtures.data_dirs import as_root


@pytest.fixture
def tiny_disk(data_root: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = data_root / "tiny"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_file_is_replaced_whole_with_its_mode(data_root: Path) -> None:
    path = data_root / "page"
    path.write_text("old")
    path.chmod(0o666)
    files.write_whole(path, "new", mode=0o640)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in data_root.iterdir()] == ["page"]


def test_a_link_is_replaced_and_not_followed(data_root: Path) -> None:
    (data_root / "victim").write_text("untouched")
    (data_root / "page").symlink_to(data_root / "victim")
    files.write_whole(data_root / "page", "new")
    assert (data_root / "victim").read_text() == "untouched"
    assert not (data_root / "page").is_symlink()


def test_a_new_file_is_not_written_over_an_old_one(data_root: Path) -> None:
    files.write_new(data_root / "page", "first")
    with pytest.raises(FileExistsError):
        files.write_new(data_root / "page", "second")
    assert (data_root / "page").read_text() == "first"


def test_a_log_is_not_opened_through_a_link(data_root: Path) -> None:
    (data_root / "log").symlink_to(data_root / "victim")
    with pytest.raises(ConfigurationError, match="symbolic link"), files.disk_faults(data_root):
        files.open_log(data_root / "log")


def test_a_large_log_is_turned_over_under_its_writer(data_root: Path) -> None:
    log = data_root / "x.log"
    writer = files.open_log(log)
    os.write(writer, b"old\n" * 10)
    assert not files.rotate(log, max_bytes=40)
    assert files.rotate(log, max_bytes=39)
    os.write(writer, b"new\n")
    os.close(writer)
    assert log.read_bytes() == b"new\n"
    assert (data_root / "x.log.1").read_bytes() == b"old\n" * 10
    assert (data_root / "x.log.1").stat().st_mode & 0o777 == 0o600
    assert not files.rotate(data_root / "absent.log")


def test_the_tail_of_a_log_is_bounded(data_root: Path) -> None:
    log = data_root / "x.log"
    assert files.tail(log) == ""
    log.write_bytes(b"\xff" + b"x" * 100 + b"end\n")
    assert files.tail(log, max_bytes=8) == "xxxxend"


@as_root
def test_a_full_disk_is_said_to_be_full(tiny_disk: Path) -> None:
    path = tiny_disk / "page"
    path.write_text("old")
    with pytest.raises(ConfigurationError, match="the disk is full"), files.disk_faults(path):
        files.write_whole(path, "x" * 100_000)
    assert path.read_text() == "old"
    assert [entry.name for entry in tiny_disk.iterdir()] == ["page"]


@as_root
def test_on_a_full_disk_a_log_is_emptied_all_the_same(tiny_disk: Path) -> None:
    log = tiny_disk / "x.log"
    log.write_bytes(b"x" * 50_000)
    assert files.rotate(log, max_bytes=1000)
    assert [(entry.name, entry.stat().st_size) for entry in tiny_disk.iterdir()] == [("x.log", 0)]


@as_root
def test_a_read_only_disk_is_said_to_be_so(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(ConfigurationError, match="read-only; choose another --data-dir"), files.disk_faults(tiny_disk):
        files.write_whole(tiny_disk / "page", "x")
