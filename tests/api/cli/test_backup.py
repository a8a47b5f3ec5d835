"""The commands on an installation that does not run, as a script uses them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.audit import anchors
from api.audit.anchors import Anchor
from api.backup.standing import Standing, forget
from api.cli.backup import moment
from api.cli.main import main
from api.db import schema
from configs.datadir import Layout
from configs.errors import BadRequest
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import restored_server
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query

pytestmark = pytest.mark.timeout(120)


KEYS = "{root}/data/secrets/master_keys"


@dataclass
class Place:
    root: Path

    @property
    def config(self) -> Path:
        return self.root / "manta.yaml"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """An installation with a target in its file, and one backup there."""
    with open_folder() as root:
        made = Place(root)
        made.config.write_text(f"model_list: []\nbackup: {{to: {root}/target, keep: 2}}\n")
        with held_layout(made.data_dir) as layout, EmbeddedPostgres(layout) as server:
            schema.upgrade(server.urls.owner_url)
            query(server, "insert into organizations (id, name) values ('kept', 'Kept')")
            layout.secret(anchors.KEY)
        Keyring.make(Layout(made.data_dir).master_keys)
        yield made


@dataclass
class Told:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Commands:
    def __init__(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self._capsys = capsys

    def __call__(self, *arguments: str, own: bool = True, config: Path | None = None) -> Told:
        """`manta db …`; `own`: of the installation."""
        where = ["--config", str(config or self.place.config)]
        where += ["--data-dir", str(self.place.data_dir)] if own else []
        with pytest.raises(SystemExit) as ended:
            main(["db", *arguments, *where])
        out, err = self._capsys.readouterr()
        return Told(int(ended.value.code or 0), out, err)


@pytest.fixture
def manta(place: Place, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(place, capsys)


def anchor_key(place: Place) -> str:
    return (place.data_dir / "secrets" / anchors.KEY).read_text()


def test_a_backup_is_taken_listed_proven_and_restored(manta: Commands, place: Place) -> None:
    assert manta("backups").out.startswith("There is no backup yet")
    made = manta("backup", "--json")
    assert made.err == ""
    assert made.json["kind"] == "base"
    told = manta("backup")
    assert f"{place.root}/target" in told.out
    assert "database: " in told.err
    listed = manta("backups", "--json").json
    assert made.json["id"] in [row["id"] for row in listed]
    assert made.json["id"] in manta("backups").out
    verdict = manta("verify", "--id", made.json["id"], "--scratch", str(place.root), "--json").json
    assert verdict["ok"]
    assert verdict["problems"] == []
    new, keys = place.root / "new", place.root / "copied_keys"
    keys.write_text(Layout(place.data_dir).master_keys.read_text())
    keys.chmod(0o600)
    options = ["--from", f"{place.root}/target", "--master-keys", str(keys), "--data-dir", str(new)]
    anchors.append(place.root / "anchors", [Anchor("gone", 5, b"x" * 32, "2026-01-01")], anchor_key(place))
    options += ["--anchors", f"{place.root}/anchors"]
    done = manta("restore", *options, own=False)
    assert "Audit log of gone: anchors after entry 0 count no more" in done.out
    assert done.out.endswith(f"{listed[-1]['id']} is restored: manta serve --data-dir {new}\n")
    assert (new / anchors.FILE).read_text().count('"kind":"restored"') == 1
    again = manta("restore", *options, own=False)
    assert again.status == 1
    assert "restore into an empty --data-dir" in again.err
    with restored_server(new) as server:
        assert query(server, "select name from organizations where id = 'kept'") == [("Kept",)]


def test_a_harmed_backup_is_told_and_the_status_says_so(manta: Commands, place: Place) -> None:
    made = manta("backup", "--to", f"{place.root}/harmed", "--json").json
    part = next((place.root / "harmed" / "parts" / made["id"] / "base").iterdir())
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    told = manta("verify", "--from", f"{place.root}/harmed", "--scratch", str(place.root))
    assert told.status == 1
    assert part.name in told.err
    assert manta("verify", "--from", f"{place.root}/harmed", "--json").status == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "--from", "{root}/nothing"], "there is no backup in"),
        (["verify", "--id", "20260101T000000Z-00000000"], "there is no backup"),
        (["backup", "--to", "ftp://x"], "is no place for backups"),
        (["restore", "--at", "yesterday", "--data-dir", "{root}/other"], "is no moment"),
        (["restore", "--data-dir", "{root}/other"], "name your copy of them with --master-keys"),
        (["restore", "--at", "2026-01-01", "--master-keys", KEYS, "--data-dir", "{root}/other"], "must be later"),
        (["restore", "--master-keys", "{root}/target/manifests", "--data-dir", "{root}/other"], "is a directory"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(
    manta: Commands, place: Place, arguments: list[str], words: str
) -> None:
    manta("backup")
    told = manta(*(argument.format(root=place.root) for argument in arguments), own=arguments[0] != "restore")
    assert told.status != 0
    assert words in told.err
    assert "Traceback" not in told.err
    assert not (place.root / "other").exists()


def test_without_a_keyring_nothing_is_started(manta: Commands, place: Place) -> None:
    keys = Layout(place.data_dir).master_keys
    keys.rename(place.root / "aside")
    try:
        told = manta("backup")
    finally:
        (place.root / "aside").rename(keys)
    assert told.status == 1
    assert "put it back from your copy of it" in told.err


def test_without_a_database_there_is_nothing_to_back_up(manta: Commands, place: Place) -> None:
    empty = place.root / "empty"
    Layout(empty).prepare()
    Keyring.make(Layout(empty).master_keys)
    told = manta("backup", "--data-dir", str(empty), own=False)
    assert told.status == 1
    assert "`manta serve` makes one" in told.err


def test_a_place_must_be_named(manta: Commands, place: Place) -> None:
    plain = place.root / "plain.yaml"
    plain.write_text("model_list: []\n")
    told = manta("backup", config=plain)
    assert told.status == 1
    assert "`backup.to` in the YAML" in told.err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        ("2026-11-26", datetime(2026, 11, 26, tzinfo=UTC)),
        ("2026-11-26 12:00:05", datetime(2026, 11, 26, 12, 0, 5, tzinfo=UTC)),
        ("2026-11-26T12:00:00+01:00", datetime(2026, 11, 26, 11, tzinfo=UTC)),
        ("2026-11-26T12:00:00Z", datetime(2026, 11, 26, 12, tzinfo=UTC)),
    ],
)
def test_moments(text: str | None, found: datetime | None) -> None:
    assert moment(text) == found


@pytest.mark.parametrize("text", ["", "yesterday", "26.11.2026", "2026-13-01"])
def test_no_moments(text: str) -> None:
    with pytest.raises(BadRequest, match="like 2026-11-26T12:00:00"):
        moment(text)


def test_what_stands_in_the_way_of_backups_is_told_beside_them(manta: Commands, place: Place) -> None:
    Standing(place.data_dir).hindered("log", "all slots are taken")
    try:
        told = manta("backups", "--json")
    finally:
        forget(place.data_dir)
    assert isinstance(told.json, list)
    assert "the log is not shipped since" in told.err
    assert "all slots are taken" in told.err
    assert manta("backups").err == ""
