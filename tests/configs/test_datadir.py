import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from configs.datadir import Layout, default_data_dir
from configs.errors import ConfigurationError, Internal
from tests.fixtures.data_dirs import as_root, run_as_nobody

LASTING = {"secrets", "logs", "models", "search", "usage"}


def modes(folder: Path) -> dict[str, tuple[int, int]]:
    return {entry.name: (entry.lstat().st_mode & 0o777, entry.lstat().st_uid) for entry in folder.iterdir()}


def test_every_path_follows_from_the_data_directory(layout: Layout) -> None:
    assert Layout(layout.data_dir) == layout
    assert Layout(layout.data_dir / ".." / layout.data_dir.name) == layout
    assert Layout(layout.data_dir).run_dir == layout.run_dir
    assert Layout(layout.data_dir.parent / "other").run_dir != layout.run_dir


def test_prepare_makes_every_folder_with_its_mode_and_owner(layout: Layout) -> None:
    me, account = os.geteuid(), layout.account
    servers = account.uid if account else me
    found = modes(layout.data_dir)
    assert {name: found[name] for name in LASTING} == dict.fromkeys(LASTING, (0o700, me))
    assert found["postgres"] == found["valkey"] == (0o700, servers)
    assert found["lock"] == (0o600, me)
    assert modes(layout.run_dir) == {"postgres": (0o700, servers), "valkey": (0o700, servers), "ray": (0o700, me)}
    outer = 0o711 if account else 0o700
    assert layout.data_dir.stat().st_mode & 0o777 == layout.run_dir.stat().st_mode & 0o777 == outer


def test_prepare_again_changes_nothing_but_loosened_modes(layout: Layout) -> None:
    (layout.models / "kept").write_text("weights")
    before = modes(layout.data_dir)
    layout.logs.chmod(0o777)
    layout.prepare()
    assert modes(layout.data_dir) == before
    assert (layout.models / "kept").read_text() == "weights"


def test_the_umask_does_not_count(data_root: Path) -> None:
    umask = os.umask(0o777)
    try:
        layout = Layout(data_root / "a" / "b")
        layout.prepare()
    finally:
        os.umask(umask)
    assert modes(layout.data_dir)["logs"][0] == 0o700
    assert (data_root / "a").stat().st_mode & 0o777 == (0o755 if os.geteuid() == 0 else 0o700)
    shutil.rmtree(layout.run_dir)


def test_sockets_fit_into_what_unix_allows(layout: Layout) -> None:
    ray = layout.ray / "session_2026-01-01_00-00-00_000000_4194304" / "sockets" / "plasma_store.1"
    for path in (layout.postgres_socket_dir / ".s.PGSQL.5432", layout.valkey_socket_dir / "valkey.sock", ray):
        assert len(os.fsencode(path)) <= 107
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(layout.port_socket))


def test_a_folder_with_something_else_in_it_is_left_alone(data_root: Path) -> None:
    home = data_root / "home"
    home.mkdir(mode=0o750)
    (home / "letters.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"no data directory and not empty \(it has 'letters.txt'\)"):
        Layout(home).prepare()
    assert home.stat().st_mode & 0o777 == 0o750
    assert [entry.name for entry in home.iterdir()] == ["letters.txt"]


def test_an_empty_folder_and_a_fresh_file_system_can_be_taken(data_root: Path) -> None:
    place = data_root / "disk"
    (place / "lost+found").mkdir(parents=True)
    place.chmod(0o777)
    layout = Layout(place)
    layout.prepare()
    assert place.stat().st_mode & 0o022 == 0
    shutil.rmtree(layout.run_dir)


def test_a_data_directory_that_others_can_write_to_is_refused(layout: Layout) -> None:
    layout.data_dir.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        layout.prepare()


def test_a_file_in_the_way_is_named(data_root: Path) -> None:
    (data_root / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot use '.*/file"):
        Layout(data_root / "file" / "data").prepare()
    with pytest.raises(ConfigurationError, match=r"cannot use '.*/file': something else stands there"):
        Layout(data_root / "file").prepare()


@as_root
def test_a_folder_closed_to_the_account_is_named_and_stays_closed(data_root: Path) -> None:
    closed = data_root / "closed"
    closed.mkdir(mode=0o700)
    layout = Layout(closed / "inner" / "data")
    with pytest.raises(ConfigurationError, match=r"'.*/closed' is closed to '\w+'.*--data-dir /var/lib/manta"):
        layout.prepare()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not any(closed.iterdir())


@as_root
def test_a_data_directory_of_another_user_is_refused(layout: Layout) -> None:
    os.chown(layout.data_dir, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        layout.prepare()


@as_root
def test_a_part_of_another_user_is_refused(layout: Layout) -> None:
    os.chown(layout.logs, 65534, 65534)
    with pytest.raises(ConfigurationError, match=r"belongs to 'nobody' and not to 'root': `chown -R root"):
        layout.prepare()


@as_root
def test_a_read_only_place_is_said_to_be_so(data_root: Path) -> None:
    bind = ["mount", "--bind", "-o", "ro", str(data_root), str(data_root)]
    if subprocess.run(bind, capture_output=True, check=False).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        with pytest.raises(ConfigurationError, match="read-only; choose another --data-dir"):
            Layout(data_root / "data").prepare()
    finally:
        subprocess.run(["umount", "-l", data_root], check=True)


@pytest.mark.parametrize("trap", ["link", "open", "file"])
def test_a_prepared_trap_in_place_of_the_short_folder_is_refused(data_root: Path, trap: str) -> None:
    layout = Layout(data_root / "data")
    if trap == "link":
        layout.run_dir.symlink_to(data_root)
    elif trap == "file":
        layout.run_dir.touch()
    else:
        layout.run_dir.mkdir()
        layout.run_dir.chmod(0o777)
    try:
        with pytest.raises(ConfigurationError, match="is a link, belongs to another user or can be written by others"):
            layout.prepare()
    finally:
        layout.run_dir.rmdir() if trap == "open" else layout.run_dir.unlink()


def test_a_copied_data_directory_does_not_use_the_sockets_of_the_first(layout: Layout, data_root: Path) -> None:
    shutil.copytree(layout.data_dir, data_root / "copy", symlinks=True)
    assert (data_root / "copy" / "run").is_symlink()
    assert Layout(data_root / "copy").run_dir != layout.run_dir


def user_side_of_the_short_folder() -> None:
    """Runs as an ordinary user: what is chosen with and without $XDG_RUNTIME_DIR, and what is remembered."""
    uid = os.geteuid()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        root, private = Path(name), Path(name) / "p"
        private.mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(private)
        layout = Layout(root / "data")
        assert layout.run_dir.parent == private
        assert layout.account is None
        layout.prepare()
        assert layout.run_dir.stat().st_mode & 0o777 == 0o700
        del os.environ["XDG_RUNTIME_DIR"]
        assert Layout(root / "data").run_dir == layout.run_dir, "another environment, the same sockets"
        shutil.rmtree(layout.run_dir)
        expected = Path("/tmp") / f"manta-{uid}-{layout.short_id}"
        assert Layout(root / "data").run_dir == expected, "what was remembered is gone"
        private.chmod(0o777)
        for unusable in (private, root / "absent", Path("/"), Path("/" + "x" * 60)):
            os.environ["XDG_RUNTIME_DIR"] = str(unusable)
            assert Layout(root / "data").run_dir == expected
        os.environ["XDG_DATA_HOME"] = str(root / "share")
        assert default_data_dir() == root / "share" / "manta"


@as_root
def test_the_short_folder_of_an_ordinary_user() -> None:
    run_as_nobody(user_side_of_the_short_folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root takes /run")
def test_the_short_folder_of_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    user_side_of_the_short_folder()


@as_root
def test_the_short_folder_of_root(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(layout.data_dir))
    assert Layout(layout.data_dir).run_dir == Path("/run") / f"manta-{layout.short_id}"
    assert default_data_dir() == Path("/var/lib/manta")


def test_starting_without_holding_is_a_fault_of_ours(layout: Layout) -> None:
    with pytest.raises(Internal, match="must be held"):
        layout.require_hold()
    with layout.hold(command="pytest"):
        layout.require_hold()
    with pytest.raises(Internal, match="must be held"):
        layout.require_hold()
