"""`manta secrets` against a real database, which runs or does not."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from api.cli.main import loaded
from api.cli.secrets import app
from api.db import schema
from api.db.session import JOBS_ROLE, Database
from api.launcher.seed import settle
from api.vault.keys import DataKey, Owner
from api.vault.vault import Vault
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import BadRequest, ConfigurationError, MantaError
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from configs.specs import Configuration
from tests.fixtures.data_dirs import open_folder
from tests.fixtures.database import query

OWNERS = [Owner("user", f"user_{number}", "default") for number in range(3)]


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    """A data directory that is held as `manta serve` holds it, with its database."""
    with open_folder() as root:
        (root / "manta.yaml").write_text("model_list: []\n")
        layout = Layout(root / "data")
        with layout.hold(command="manta serve", port=1), EmbeddedPostgres(layout) as server:
            schema.upgrade(server.urls.owner_url)
            asyncio.run(settle(server.urls.jobs_url, Keyring.at(layout.master_keys)))
            Keyring.make(layout.token_keys)
            cluster = Cluster(
                data_dir=layout.data_dir,
                database_url=SecretStr(server.urls.app_url),
                redis_url=SecretStr("unused"),
                link_secret=SecretStr("unused"),
                configuration=Configuration(),
            )
            cluster.write(layout.cluster)
            yield server


@pytest.fixture
def layout(running: EmbeddedPostgres) -> Layout:
    return running._layout


def secrets(layout: Layout, *arguments: str) -> Result:
    where = ["--data-dir", str(layout.data_dir), "--config", str(layout.data_dir.parent / "manta.yaml")]
    return CliRunner().invoke(app, [*arguments, *where])


def told(layout: Layout, *arguments: str) -> dict[str, object]:
    ran = secrets(layout, *arguments, "--json")
    assert ran.exit_code == 0, ran.output
    answer: dict[str, object] = json.loads(ran.stdout)
    return answer


def data_keys(server: EmbeddedPostgres, keyring: Keyring) -> list[DataKey]:
    """Made at the first call, opened at the later ones, each time by a process that knows nothing yet."""

    async def work() -> list[DataKey]:
        database = Database(server.urls.jobs_url, role=JOBS_ROLE)
        async with database.unit() as session:
            keys = [await Vault(keyring).key_for(session, owner) for owner in OWNERS]
        await database.close()
        return keys

    return asyncio.run(work())


def test_rotation_beside_a_running_stack(running: EmbeddedPostgres, layout: Layout) -> None:
    ring = Keyring.read(layout.master_keys)
    keys, old = data_keys(running, ring), ring.active.id
    made = told(layout, "rotate")
    assert made == {"active": ring.active.id, "wrapped": 3, "unreadable": [], "retired": None}
    assert list(ring.ids) == [made["active"], old]
    assert data_keys(running, ring) == keys
    listing = secrets(layout, "list")
    assert [line.split()[:3] for line in listing.stdout.splitlines()[1:]] == [
        [str(made["active"]), "active", "3"],
        [old, "old", "0"],
    ]
    assert told(layout, "rotate", "--resume")["wrapped"] == 0
    assert told(layout, "rotate", "--retire", old)["retired"] == old
    assert list(ring.ids) == [made["active"]]
    assert data_keys(running, ring) == keys


def test_what_is_refused(running: EmbeddedPostgres, layout: Layout) -> None:
    ring = Keyring.read(layout.master_keys)
    for arguments, says in ((["--retire", ring.active.id], "active"), (["--retire", "gone"], "has no key 'gone'")):
        ran = secrets(layout, "rotate", *arguments)
        assert isinstance(ran.exception, ConfigurationError)
        assert says in ran.exception.message
    assert isinstance(secrets(layout, "rotate", "--resume", "--tokens").exception, BadRequest)


def test_a_lost_master_key_is_listed_and_stops_a_rotation(running: EmbeddedPostgres, layout: Layout) -> None:
    ring = Keyring.read(layout.master_keys)
    data_keys(running, ring)
    text = layout.master_keys.read_text()
    layout.master_keys.unlink()
    Keyring.make(layout.master_keys)
    try:
        listing = secrets(layout, "list")
        assert listing.exit_code == 1
        assert "missing" in listing.stdout
        refused = secrets(layout, "rotate").exception
        assert isinstance(refused, MantaError)
        assert "this database holds content under the master key" in refused.message
        assert len(Keyring.read(layout.master_keys).ids) == 1
    finally:
        layout.master_keys.write_text(text)


def test_token_keys_keep_two_alive(running: EmbeddedPostgres, layout: Layout) -> None:
    ring = Keyring.read(layout.token_keys)
    first = ring.active.id
    second = told(layout, "rotate", "--tokens")["active"]
    assert list(ring.ids) == [second, first]
    third = told(layout, "rotate", "--tokens")["active"]
    assert list(ring.ids) == [third, second]
    assert told(layout, "rotate", "--tokens", "--retire", str(second))["ids"] == [third]
    assert "active" in secrets(layout, "list", "--tokens").stdout
    made = [("secret.rotate", second), ("secret.rotate", third), ("secret.retire", second)]
    assert recorded(running, "tokens")[-3:] == made


def test_master_keys_stand_in_the_audit_log(running: EmbeddedPostgres, layout: Layout) -> None:
    before = Keyring.read(layout.master_keys).active.id
    after = told(layout, "rotate")["active"]
    assert told(layout, "rotate", "--retire", before)["retired"] == before
    assert recorded(running, "master")[-2:] == [("secret.rotate", after), ("secret.retire", before)]


def recorded(server: EmbeddedPostgres, ring: str) -> list[tuple[str, str]]:
    rows = query(
        server,
        "SELECT action, target FROM audit_log WHERE action LIKE 'secret.%%' AND details::json->>'ring' = %s"
        " AND details::json->>'by' = 'command' ORDER BY seq",
        ring,
    )
    return [(action, target) for action, target in rows]


def test_no_key_is_printed(running: EmbeddedPostgres, layout: Layout) -> None:
    said = [secrets(layout, *words).output for words in (["rotate"], ["list"], ["rotate", "--tokens"])]
    for path in (layout.master_keys, layout.token_keys):
        for line in path.read_text().splitlines():
            assert all(line.split()[1] not in text for text in said)


def test_a_keyring_for_elsewhere_is_made_once(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["make", str(tmp_path / "keys"), "--json"])
    assert json.loads(ran.stdout)["active"] == Keyring.read(tmp_path / "keys").active.id
    assert "has the active key" in CliRunner().invoke(app, ["make", str(tmp_path / "keys")]).stdout


def test_rotation_while_nothing_runs_and_before_there_is_anything() -> None:
    with open_folder() as root:
        (root / "manta.yaml").write_text("model_list: []\n")
        layout = Layout(root / "data")
        refused = secrets(layout, "rotate").exception
        assert isinstance(refused, ConfigurationError)
        assert "no database yet" in refused.message
        with layout.hold(command="test"), EmbeddedPostgres(layout) as server:
            schema.upgrade(server.urls.owner_url)
            asyncio.run(settle(server.urls.jobs_url, Keyring.at(layout.master_keys)))
            keys = data_keys(server, Keyring.read(layout.master_keys))
        assert told(layout, "rotate")["wrapped"] == 3
        with layout.hold(command="test"), EmbeddedPostgres(layout) as server:
            assert data_keys(server, Keyring.read(layout.master_keys)) == keys


def test_the_command_is_registered() -> None:
    assert loaded("secrets").name == "secrets"
