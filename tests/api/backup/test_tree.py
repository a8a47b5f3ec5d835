import os
import stat
from pathlib import Path

import pytest

from api.backup.progress import silent
from api.backup.store import Store
from api.backup.tree import FileEntry, LinkEntry, Listing, check, collect, put_back, state
from configs.errors import DamagedBackup
from tests.fixtures.backups import content


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name, words in {"models/a/adapter.safetensors": b"weights", "models/a/b/c": b"", "files/x": b"upload"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(words)
    (folder / "search").mkdir()
    (folder / "search" / "index").write_bytes(b"rebuilt")
    return folder


def files_in(data_dir: Path) -> dict[str, bytes]:
    found = (path for path in sorted(data_dir.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(data_dir).as_posix(): path.read_bytes() for path in found}


def test_files_come_back(store: Store, data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "models" / "latest").symlink_to("a")
    listing = collect(data_dir, store, Listing(), silent)
    check(listing, store)
    put_back(listing, store, tmp_path / "back")
    (data_dir / "search" / "index").unlink()
    assert files_in(tmp_path / "back") == files_in(data_dir)
    assert (tmp_path / "back" / "models" / "latest").readlink() == Path("a")
    assert stat.S_IMODE((tmp_path / "back" / "files" / "x").stat().st_mode) == 0o600
    assert collect(tmp_path / "back", store, listing, silent) == listing


def test_no_folder_is_no_files(store: Store, tmp_path: Path) -> None:
    assert collect(tmp_path, store, Listing(), silent) == Listing()


def test_nothing_is_sent_twice(store: Store, data_dir: Path) -> None:
    first = collect(data_dir, store, Listing(), silent)
    before = content(store.target)
    (data_dir / "files" / "copy").write_bytes(b"upload")
    again = collect(data_dir, store, Listing(), silent)
    assert content(store.target) == before
    assert again.blobs == first.blobs
    (data_dir / "files" / "more").write_bytes(b"new")
    collect(data_dir, store, again, silent)
    assert len(content(store.target)) == len(before) + 1


def test_a_known_file_is_not_read_again_and_a_changed_one_is(store: Store, data_dir: Path) -> None:
    before = collect(data_dir, store, Listing(), silent)
    path, info = data_dir / "files" / "x", (data_dir / "files" / "x").stat()
    path.write_bytes(b"UPLOAD")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert collect(data_dir, store, before, silent) == before
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    assert collect(data_dir, store, before, silent).blobs != before.blobs


def test_a_known_file_whose_object_is_gone_is_sent_again(store: Store, data_dir: Path) -> None:
    before = collect(data_dir, store, Listing(), silent)
    was = content(store.target)
    for name in was:
        store.target.delete(name)
    assert collect(data_dir, store, before, silent) == before
    assert content(store.target).keys() == was.keys()


def test_a_new_master_key_sends_everything_anew(store: Store, data_dir: Path) -> None:
    before = collect(data_dir, store, Listing(), silent)
    store.keys.rotated()
    check(before, store)
    after = collect(data_dir, store, Listing(), silent)
    assert not after.blobs & before.blobs


def test_what_leads_elsewhere_is_left_out_and_said(store: Store, data_dir: Path) -> None:
    (data_dir / "models" / "out").symlink_to("/etc")
    (data_dir / "models" / "up").symlink_to("../files/x")
    os.mkfifo(data_dir / "models" / "pipe")
    said: list[str] = []
    listing = collect(data_dir, store, Listing(), said.append)
    assert set(listing.skipped) == {"models/out", "models/up", "models/pipe"}
    assert all(any(name in line for line in said) for name in listing.skipped)


def test_names_do_not_tell_what_is_kept(store: Store, data_dir: Path) -> None:
    listing = collect(data_dir, store, Listing(), silent)
    names = " ".join(store.target.names(""))
    for entry in listing.files:
        assert entry.sha256 not in names


def test_a_harmed_file_is_found(store: Store, data_dir: Path, tmp_path: Path) -> None:
    listing = collect(data_dir, store, Listing(), silent)
    name = next(name for name in content(store.target) if name.startswith(listing.files[0].blob))
    was = store.target.get(name)
    store.target.put(name, was[:-1] + bytes([was[-1] ^ 1]))
    with pytest.raises(DamagedBackup):
        check(listing, store)
    with pytest.raises(DamagedBackup):
        put_back(listing, store, tmp_path / "back")


@pytest.mark.parametrize("path", ["../x", "/x", "models/../../x", "secrets/x", "x"])
def test_a_listing_cannot_lead_out(store: Store, data_dir: Path, tmp_path: Path, path: str) -> None:
    entry = collect(data_dir, store, Listing(), silent).files[0]
    (tmp_path / "back").mkdir()
    for listing in (
        Listing(files=(FileEntry(**{**entry.model_dump(), "path": path}),)),
        Listing(links=(LinkEntry(path=path, to="a"),)),
        Listing(links=(LinkEntry(path="models/x", to="../../x"),)),
    ):
        with pytest.raises(DamagedBackup, match="no place for a file"):
            put_back(listing, store, tmp_path / "back")
    assert files_in(tmp_path / "back") == {}


def test_the_state_changes_with_the_files(data_dir: Path) -> None:
    seen = {state(data_dir), state(data_dir)}
    (data_dir / "models" / "more").write_bytes(b"")
    seen.add(state(data_dir))
    (data_dir / "models" / "more").write_bytes(b"x")
    seen.add(state(data_dir))
    (data_dir / "models" / "more").unlink()
    seen.add(state(data_dir))
    assert len(seen) == 3


def test_newer_listings_count() -> None:
    def entry(path: str, sha256: str) -> FileEntry:
        return FileEntry(path=path, size=1, mtime_ns=1, sha256=sha256, blob=sha256)

    older = Listing(files=(entry("a", "1"), entry("b", "1")), links=(LinkEntry(path="c", to="a"),))
    newer = Listing(files=(entry("b", "2"),))
    both = newer.over(older)
    assert {each.path: each.sha256 for each in both.files} == {"a": "1", "b": "2"}
    assert [link.path for link in both.links] == ["c"]
