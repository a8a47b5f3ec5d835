import re
import struct
import zipfile
from pathlib import Path

import pytest

from api.imports import archive
from api.imports.archive import Part, parts
from api.imports.records import Skipped, Unfit
from configs.errors import BadRequest
from tests.api.imports.written import zipped

WANTED = re.compile(r".*\.json")


def whole(part: Part | Skipped) -> bytes:
    assert isinstance(part, Part)
    return b"".join(iter(lambda: part.read(1 << 16), b""))


def opened(path: Path) -> list[bytes | str]:
    """Each wanted file's bytes, and the reasons for the others."""
    return [part.why if isinstance(part, Skipped) else whole(part) for part in parts(path, WANTED, "such file")]


def test_wanted_files_come_by_name_and_others_as_notes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"b.json": b"2", "\x1b.png": b"", "a.json": b"1"})
    assert opened(path) == ["only conversations are moved", b"1", b"2"]


def test_a_file_that_is_no_archive_is_the_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[]")
    assert opened(tmp_path / "a.json") == [b"[]"]


def test_a_bomb_is_stopped_while_it_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.json": b" " * (32 << 20), "b.json": b"{}"})
    found = parts(path, WANTED, "such file")
    with pytest.raises(Unfit, match="more than 200 times"):
        whole(next(found))
    assert whole(next(found)) == b"{}"


def test_an_archive_has_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 10)
    found = parts(zipped(tmp_path / "a.zip", {"a.json": b"123456", "b.json": b"78901"}), WANTED, "such file")
    assert whole(next(found)) == b"123456"
    with pytest.raises(Unfit, match="holds more than"):
        whole(next(found))


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        made.writestr("a.json", b"x" * 100)
    path.write_bytes(path.read_bytes().replace(b"x" * 100, b"y" * 100))
    found = parts(path, WANTED, "such file")
    with pytest.raises(Unfit, match="damaged"):
        whole(next(found))
    path.write_bytes(path.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05"))
    assert opened(path) == ["it is damaged"]
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BadRequest, match="damaged archive"):
        parts(path, WANTED, "such file")


def test_other_ways_of_packing_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a.json", b"{}")
    assert opened(path) == ["it is encrypted, or packed in a way that is not read"]


@pytest.mark.parametrize("large", [False, True])
def test_a_long_table_of_contents_is_refused_before_it_is_read(tmp_path: Path, large: bool) -> None:
    path = tmp_path / "a.zip"
    size = 0xFFFFFFFF if large else 1 << 30
    end64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0) if large else b""
    path.write_bytes(b"PK\x03\x04" + end64 + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, size, 0, 0))
    with pytest.raises(BadRequest, match="lists more files"):
        parts(path, WANTED, "such file")


def test_there_must_be_a_wanted_file(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="holds no such file"):
        parts(zipped(tmp_path / "a.zip", {"a.txt": b""}), WANTED, "such file")
    with pytest.raises(BadRequest, match="cannot be read"):
        parts(tmp_path, WANTED, "such file")
