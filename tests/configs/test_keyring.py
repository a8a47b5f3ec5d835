import base64
import os
import random
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import keycommand
from configs.cluster import Cluster
from configs.errors import ConfigurationError
from configs.keyring import Keyring, MasterKey
from configs.keytext import guessable, parse, without
from configs.specs import Configuration
from tests.fixtures.data_dirs import as_root

RANDOM = random.Random(7).randbytes(33)
PATTERNS = {
    "zeros": bytes(32),
    "one byte": b"\xa7" * 32,
    "counting": bytes(range(5, 37)),
    "counting down": bytes(range(60, 28, -1)),
    "eight bytes four times": bytes.fromhex("9f3c00ff12ab7e41") * 4,
    "three bytes": (b"\x01\x80\xfe" * 11)[:32],
    "a sentence": b"please change this before you go",
}


def encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def kept(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master_keys"


def test_a_keyring_is_made_once_for_its_owner_only(path: Path) -> None:
    made = Keyring.make(path)
    assert len(made.active.key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert Keyring.make(path).active == made.active == Keyring.read(path).active


def test_all_who_make_at_once_get_the_same(path: Path) -> None:
    start, found = threading.Barrier(8), list[MasterKey]()

    def make() -> None:
        start.wait()
        found.append(Keyring.make(path).active)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({key.id for key in found}) == 1


def test_the_first_line_is_active_and_comments_are_none(path: Path) -> None:
    first, second = MasterKey.random(), MasterKey.random()
    kept(path, f"# ours\n\n{first.line.strip()} # since today\n{second.id}\t{encoded(second.key)}\n")
    ring = Keyring.read(path)
    assert ring.active == first
    assert ring.ids == (first.id, second.id)
    assert ring.get(second.id) == second


def test_no_key_is_shown(path: Path) -> None:
    ring = Keyring.make(path)
    shown = f"{ring!r} {ring.active!r} {ring}"
    assert encoded(ring.active.key)[:12] not in shown
    assert repr(ring.active.key)[2:12] not in shown
    assert ring.active.id in shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# nothing\n\n", "holds no key"),
        ("a\n", "line 1: it must be `<id> <base64url"),
        (f"a {encoded(RANDOM[:32])} b\n", "line 1: it must be"),
        (f"../a {encoded(RANDOM[:32])}\n", "line 1: it must be"),
        ("a +//+\n", "line 1: it must be"),
        ("a abcde\n", "not base64url"),
        (f"# x\na {encoded(RANDOM[:31])}\n", "line 2: the key 'a' has 31 bytes and must have 32"),
        (f"a {encoded(RANDOM[:33])}\n", "has 33 bytes"),
        (f"a {encoded(RANDOM[:32])}\na {encoded(RANDOM[1:33])}\n", "line 2: the id 'a' stands there twice"),
    ],
)
def test_a_file_that_is_no_keyring_is_refused(path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Keyring.read(kept(path, text))
    assert says in refused.value.message
    assert str(path) in refused.value.message


@pytest.mark.parametrize("name", PATTERNS)
def test_a_default_is_refused_and_not_repeated(path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no random key") as refused:
        Keyring.read(kept(path, f"a {encoded(PATTERNS[name])}\n"))
    assert encoded(PATTERNS[name])[:8] not in refused.value.message


def test_random_keys_are_not_taken_for_patterns() -> None:
    assert [key for key in (os.urandom(32) for _ in range(2000)) if guessable(key)] == []


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644])
def test_an_open_file_is_refused(path: Path, mode: int) -> None:
    Keyring.make(path)
    path.chmod(mode)
    for refused in (Keyring.read, Keyring.make):
        with pytest.raises(ConfigurationError, match="chmod go="):
            refused(path)


@as_root
def test_somebody_elses_file_is_refused(path: Path) -> None:
    Keyring.make(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to 'nobody'"):
        Keyring.read(path)


def test_a_missing_file_a_link_a_folder_and_a_pipe_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing: put it back"):
        Keyring.read(path)
    path.symlink_to(tmp_path / "elsewhere")
    for refused in (Keyring.read, Keyring.make):
        with pytest.raises(ConfigurationError, match="symbolic link"):
            refused(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match=str(path)):
        Keyring.read(path)
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigurationError, match="not what it should be"):
        Keyring.read(path)


def test_bytes_that_are_no_text_are_refused_without_their_content(path: Path) -> None:
    path.write_bytes(b"a \xff\xfe secret")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="not UTF-8") as refused:
        Keyring.read(path)
    assert refused.value.__cause__ is None


def test_an_unknown_id_names_itself_and_the_file(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no key 'gone'") as refused:
        Keyring.make(path).get("gone")
    assert str(path) in refused.value.message


def test_rotation_puts_a_new_key_in_front_and_keeps_the_rest(path: Path) -> None:
    ring = Keyring.make(path)
    path.write_text(f"# ours\n{path.read_text()}")
    old = ring.active
    assert ring.rotated().active != old
    assert ring.ids[1:] == (old.id,)
    assert "# ours" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError, match="is the active one"):
        ring.without(ring.active.id)
    with pytest.raises(ConfigurationError, match="has no key 'x'"):
        ring.without("x")
    with pytest.raises(ConfigurationError, match="has a key"):
        ring.rotated(old)
    assert ring.without(old.id).ids == (ring.active.id,)


def test_a_running_process_learns_of_a_rotation(path: Path) -> None:
    here, elsewhere = Keyring.make(path), Keyring.read(path)
    old, fresh = here.active, elsewhere.rotated().active
    assert here.get(fresh.id) == fresh
    elsewhere.without(here.ids[1])
    with pytest.raises(ConfigurationError):
        here.get(old.id)
    assert here.active == fresh
    newest = elsewhere.rotated().active
    assert here.active == newest


def test_a_running_process_goes_on_with_what_it_knows(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = Keyring.make(path)
    key = ring.active
    path.write_text("broken")
    assert ring.active == key
    assert "going on with the keys that are known" in caplog.text
    path.unlink()
    assert ring.get(key.id) == ring.active == key


def test_rotations_at_once_lose_no_key(path: Path) -> None:
    Keyring.make(path)
    threads = [threading.Thread(target=lambda: Keyring.read(path).rotated()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Keyring.read(path).ids) == 9


def test_a_keyring_may_be_named_before_it_is_there(path: Path) -> None:
    ring = Keyring.at(path)
    with pytest.raises(ConfigurationError, match="missing"):
        _ = ring.active
    assert Keyring.make(path).active == ring.active


def test_a_command_prints_a_keyring(path: Path) -> None:
    made = Keyring.make(path)
    ring = Keyring.of_command(["cat", str(path)])
    assert ring.active == made.active
    with pytest.raises(ConfigurationError, match="change them where it takes them from"):
        ring.rotated()


def test_a_command_is_run_again_beside_those_who_ask(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keycommand, "FRESH_S", 1e9)
    made = Keyring.make(path)
    ring, old = Keyring.of_command(["cat", str(path)]), made.active
    assert ring.active == old
    fresh = made.rotated().active
    assert ring.active == old
    with pytest.raises(ConfigurationError):
        ring.get(fresh.id)
    monkeypatch.setattr(keycommand, "FRESH_S", 0.001)
    deadline = time.monotonic() + 30
    while ring.active != fresh:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    newest = made.rotated().active
    assert ring.get(newest.id) == newest


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise SystemExit('no such entry')", "ended with status 1. Its last lines: no such entry"),
        ("print('x' * 70000)", "line 1: it must be"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "is no text"),
        ("print()", "holds no key"),
    ],
)
def test_a_command_that_fails_is_named(program: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _ = Keyring.of_command([sys.executable, "-c", program]).active
    assert says in refused.value.message


def test_the_cluster_tells_where_the_keyrings_are(tmp_path: Path) -> None:
    plain = {"data_dir": tmp_path, "database_url": "x", "redis_url": "x", "link_secret": "x"}
    cluster = Cluster.model_validate(plain | {"configuration": Configuration()})
    cluster.write(tmp_path / "cluster.json")
    read = Cluster.read(tmp_path / "cluster.json")
    assert read.master_keys == tmp_path / "secrets" / "master_keys"
    read.token_keys.parent.mkdir()
    assert read.tokens().place == Keyring.make(read.token_keys).place
    assert Keyring.make(read.master_keys).active == read.masters().active
    by_command = read.model_copy(update={"master_key_command": ("cat", str(read.master_keys))})
    assert by_command.masters().active == read.masters().active


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse(text, "it")
    except ConfigurationError as error:
        assert error.message.startswith("it")  # noqa: PT017
    else:
        assert all(len(key.key) == 32 for key in found.values())


@given(st.lists(st.binary(min_size=32, max_size=32).filter(lambda key: not guessable(key)), min_size=1, max_size=5))
def test_what_is_written_is_read(keys: list[bytes]) -> None:
    made = [MasterKey(f"k{number}", key) for number, key in enumerate(keys)]
    text = "".join(key.line for key in made)
    assert list(parse(text, "it").values()) == made
    assert without(text, "k0") == "".join(key.line for key in made[1:])
