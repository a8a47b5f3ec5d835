import os
import threading
from pathlib import Path

import pytest

from configs.datadir import Layout
from configs.errors import ConfigurationError
from tests.fixtures.data_dirs import as_root


def test_a_secret_is_made_once_and_kept(layout: Layout) -> None:
    first = layout.secret("one")
    assert Layout(layout.data_dir).secret("one") == first
    assert layout.secret("two") != first
    assert len(first) == 43, "32 bytes as base64"
    assert len(layout.secret("short", nbytes=12)) == 16
    assert {(path.name, path.stat().st_mode & 0o777) for path in layout.secrets.iterdir()} == {
        ("one", 0o600),
        ("two", 0o600),
        ("short", 0o600),
    }
    assert layout.secrets.stat().st_mode & 0o777 == 0o700


def test_all_who_ask_at_once_get_the_same(layout: Layout) -> None:
    start, found = threading.Barrier(8), list[str]()

    def ask() -> None:
        start.wait()
        found.append(layout.secret("shared"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in layout.secrets.iterdir()] == ["shared"]


@pytest.mark.parametrize("mode", [0o606, 0o604, 0o640, 0o660, 0o666])
def test_a_secret_that_others_could_read_or_write_is_refused(layout: Layout, mode: int) -> None:
    layout.secret("one")
    (layout.secrets / "one").chmod(mode)
    with pytest.raises(ConfigurationError, match=f"open to others \\(mode 0{mode:o}\\)"):
        layout.secret("one")


@pytest.mark.parametrize("mode", [0o755, 0o707, 0o777])
def test_an_open_folder_of_secrets_is_refused(layout: Layout, mode: int) -> None:
    layout.secret("one")
    layout.secrets.chmod(mode)
    for refused in (lambda: layout.secret("one"), lambda: layout.secret("new"), layout.prepare):
        with pytest.raises(ConfigurationError, match="open to others"):
            refused()


@as_root
def test_somebody_elses_secret_is_refused(layout: Layout) -> None:
    layout.secret("one")
    os.chown(layout.secrets / "one", 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to 'nobody'"):
        layout.secret("one")


def test_a_link_for_a_secret_is_refused(layout: Layout, data_root: Path) -> None:
    (data_root / "elsewhere").write_text("known")
    (layout.secrets / "one").symlink_to(data_root / "elsewhere")
    with pytest.raises(ConfigurationError, match="symbolic link"):
        layout.secret("one")


def test_an_empty_secret_is_no_secret(layout: Layout) -> None:
    (layout.secrets / "one").touch(mode=0o600)
    with pytest.raises(ConfigurationError, match="is empty"):
        layout.secret("one")


@pytest.mark.parametrize("name", ["", "../lock", "a/b", ".hidden", "Ä"])
def test_a_name_cannot_lead_elsewhere(layout: Layout, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a secret"):
        layout.secret(name)
