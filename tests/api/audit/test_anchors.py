"""Anchors: who cannot write one, and what a torn file or a restored backup means."""

import socket
from pathlib import Path

import pytest

from api.audit import anchors
from api.audit.anchors import Anchor, anchors_of
from api.audit.chain import Head, Trace

KEY = "a key that the database does not have"
ONE, TWO = Head("org_a", 3, b"\1" * 32), Head("org_a", 7, b"\2" * 32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "anchors"


def test_what_is_written_is_read(file: Path) -> None:
    anchors.append(file, anchors_of([ONE]), KEY)
    anchors.append(file, anchors_of([TWO, Head("org_b", 1, b"\3" * 32)]), KEY)
    found = anchors.read([file], KEY)
    assert found.faults == []
    assert found.hashes == {"org_a": {3: ONE.hash, 7: TWO.hash}, "org_b": {1: b"\3" * 32}}
    assert file.stat().st_mode & 0o777 == 0o600


def test_nobody_without_the_key_writes_one(file: Path) -> None:
    anchors.append(file, anchors_of([ONE]), KEY)
    anchors.append(file, anchors_of([TWO]), "another key")
    signed = anchors_of([TWO])[0].line(KEY)
    for forged in (
        signed.replace(b'"seq":7', b'"seq":8'),
        signed.replace(b"org_a", b"org_b"),
        signed.replace(b'"head"', b'"restored"'),
        b"not JSON\n",
        b'{"seq": 1}\n',
        b'{"organization_id": 1, "seq": "x", "hash": "zz", "at": 3, "kind": null, "signature": []}\n',
    ):
        with file.open("ab") as handle:
            handle.write(forged)
    found = anchors.read([file], KEY)
    assert found.hashes == {"org_a": {3: ONE.hash}}
    assert [fault.trace for fault in found.faults] == [Trace.UNSIGNED] * 7
    assert found.faults[0].place == "line 2 of anchors"
    assert len(anchors.read([file], None).faults) == 8


def test_a_line_that_a_crash_tore_is_nobodys_fault(file: Path) -> None:
    anchors.append(file, anchors_of([ONE]), KEY)
    with file.open("ab") as handle:
        handle.write(anchors_of([TWO])[0].line(KEY)[:40])
    assert anchors.read([file], KEY).faults == []
    anchors.append(file, anchors_of([TWO]), KEY)
    found = anchors.read([file], KEY)
    assert found.hashes == {"org_a": {3: ONE.hash, 7: TWO.hash}}


def test_a_restored_backup_ends_later_anchors(file: Path) -> None:
    anchors.append(file, anchors_of([ONE]), KEY)
    anchors.append(file, anchors_of([TWO]), KEY)
    anchors.append(file, anchors_of([Head("org_a", 5, b"\4" * 32)], "restored"), KEY)
    found = anchors.read([file], KEY)
    assert found.hashes == {"org_a": {3: ONE.hash, 5: b"\4" * 32}}
    assert [each.seq for each in found.restored] == [5]


def test_a_link_in_the_files_place_is_not_followed(file: Path, tmp_path: Path) -> None:
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        anchors.append(file, anchors_of([ONE]), KEY)
    assert not (tmp_path / "elsewhere").exists()


def test_the_systems_log_gets_lines_that_can_be_read_again(file: Path, tmp_path: Path) -> None:
    address = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(address)
        anchors.tell_syslog(anchors_of([ONE, TWO]), KEY, address)
        received = [log.recv(4096) for _ in range(2)]
    assert all(each.startswith(b"<85>manta-audit: {") for each in received)
    file.write_bytes(b"".join(b"Jan 31 12:00:00 host " + each[4:] + b"\n" for each in received))
    assert anchors.read([file], KEY).hashes == {"org_a": {3: ONE.hash, 7: TWO.hash}}
    with pytest.raises(OSError, match="No such file"):
        anchors.tell_syslog(anchors_of([ONE]), KEY, str(tmp_path / "nobody"))


def test_every_field_is_signed() -> None:
    signatures = {
        Anchor(*fields).signature(KEY)
        for fields in (
            ("a", 1, b"h", "t", "head"),
            ("b", 1, b"h", "t", "head"),
            ("a", 2, b"h", "t", "head"),
            ("a", 1, b"i", "t", "head"),
            ("a", 1, b"h", "u", "head"),
            ("a", 1, b"h", "t", "restored"),
        )
    }
    assert len(signatures) == 6
