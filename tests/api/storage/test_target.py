"""One contract, held by a folder and by a bucket."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from api.storage.s3 import Bucket
from api.storage.target import Folder, Target, open_target
from configs.errors import ConfigurationError, DamagedBackup, Unavailable
from tests.fixtures.backups import BUCKET, use_bucket


@pytest.fixture(params=["folder", "bucket", "bucket without a prefix"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    if request.param == "folder":
        return Folder(tmp_path / "new" / "target")
    use_bucket(monkeypatch, request.getfixturevalue("s3_address"))
    return open_target(f"s3://{BUCKET}/some/prefix/" if request.param == "bucket" else f"s3://{BUCKET}")


def test_what_is_put_is_there(target: Target) -> None:
    target.put("a/1", b"one")
    target.put("a/2", b"")
    target.put("a/1", b"more")
    assert target.get("a/1") == b"more"
    assert target.get("a/2") == b""


def test_what_is_missing_is_said(target: Target) -> None:
    with pytest.raises(DamagedBackup, match=r"lacks a/1: .* --id"):
        target.get("a/1")


def test_names_are_listed_in_order_by_prefix(target: Target) -> None:
    assert list(target.names("")) == []
    for name in ("b/2", "b/10", "a/1", "b2", "c"):
        target.put(name, b"x")
    assert list(target.names("")) == ["a/1", "b/10", "b/2", "b2", "c"]
    assert list(target.names("b/")) == ["b/10", "b/2"]
    assert list(target.names("b/1")) == ["b/10"]
    assert list(target.names("nothing/")) == []


def test_more_names_than_a_page_holds(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.storage.s3.PAGE", 3)
    for number in range(10):
        target.put(f"n/{number:04d}", b"")
    assert len(list(target.names("n/"))) == 10


def test_deleting(target: Target) -> None:
    target.put("a/b/1", b"x")
    target.put("a/2", b"x")
    target.delete("a/b/1")
    target.delete("a/b/1")
    assert list(target.names("")) == ["a/2"]
    target.delete("a/2")
    assert list(target.names("")) == []


def test_a_folder_leaves_no_empty_folders_and_shows_nothing_half_written(tmp_path: Path) -> None:
    target = Folder(tmp_path / "t")
    target.put("a/b/1", b"x")
    (tmp_path / "t" / "a" / ".draft-1234").write_bytes(b"half")
    assert list(target.names("")) == ["a/b/1"]
    assert stat.S_IMODE((tmp_path / "t" / "a" / "b" / "1").stat().st_mode) == 0o600
    (tmp_path / "t" / "a" / ".draft-1234").unlink()
    target.delete("a/b/1")
    assert list((tmp_path / "t").iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = Folder(tmp_path / "t")
    target.put("a", b"x")
    (tmp_path / "t" / "b").mkdir()
    (tmp_path / "t" / "b" / "c").touch()
    with pytest.raises(ConfigurationError, match="cannot use"):
        target.put("b", b"y")
    assert sorted(entry.name for entry in (tmp_path / "t").iterdir()) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "ftp://host/x", "s3://", "s3:///x"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no place for backups|names no bucket"):
        open_target(text)


def test_a_bucket_that_is_not_there(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_bucket(monkeypatch, s3_address)
    for call in (lambda: Bucket("s3://nothing/x").put("a", b""), lambda: list(Bucket("s3://nothing/x").names(""))):
        with pytest.raises(ConfigurationError, match="there is no bucket 'nothing'"):
            call()


def test_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch, s3_address: str) -> None:
    use_bucket(monkeypatch, s3_address)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("api.storage.s3.ATTEMPTS", 1)
    with pytest.raises(Unavailable, match="check the network and AWS_ENDPOINT_URL"):
        Bucket(f"s3://{BUCKET}").put("a", b"")


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, s3_address: str, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        Bucket(f"s3://{BUCKET}").put("a", b"")


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [("AccessDenied", ConfigurationError, "needs to list, get, put and delete"), ("SlowDown", Unavailable, "SlowDown")],
)
def test_what_a_bucket_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, s3_address: str, code: str, error: type[Exception], words: str
) -> None:
    use_bucket(monkeypatch, s3_address)
    bucket: Any = Bucket(f"s3://{BUCKET}")
    assert isinstance(bucket._refusal(code), error)
    assert words in str(bucket._refusal(code))
