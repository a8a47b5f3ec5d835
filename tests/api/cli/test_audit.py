"""`manta audit` on an installation that does not run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.audit import anchors
from api.audit.anchors import anchors_of
from api.audit.chain import Head
from api.cli.audit import app
from api.cli.db import database_of
from api.cli.installation import Installation
from api.cli.stored import StoredKeys
from api.db import audit as audit_queries
from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """With three entries, the first two of which are anchored."""
    with open_folder() as root:
        config = root / "manta.yaml"
        config.write_text("model_list: []\n")
        made = Installation(config, root / "data")
        keys = StoredKeys(made)
        key = keys.create({"name": "one", "permissions": ["inference"]})
        keys.revoke(key["id"])
        anchor(made)
        keys.create({"name": "two", "permissions": ["inference"]})
        yield made
        with held_layout(root / "data"):
            pass


def anchor(installation: Installation) -> None:
    """As `control` does it."""

    async def heads(database: Database) -> list[Head]:
        async with database.snapshot() as unit:
            return await audit_queries.heads(unit)

    found = database_of(installation).audited(heads)
    path = installation.layout.data_dir / anchors.FILE
    anchors.append(path, anchors_of(found), installation.layout.secret(anchors.KEY))


def manta(installation: Installation, *arguments: str) -> tuple[int, str]:
    places = ["--config", str(installation.config), "--data-dir", str(installation.data_dir)]
    ran = CliRunner().invoke(app, [*arguments, *places])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.output


def tampered(installation: Installation, *statements: str) -> None:
    """As the superuser, while nothing runs."""
    with installation.layout.hold(command="pytest"), EmbeddedPostgres(installation.layout) as server:
        for statement in statements:
            query(server, statement)


def test_a_log_that_nobody_touched(installation: Installation) -> None:
    assert manta(installation, "verify") == (0, "Nothing was touched: 3 entries in 1 chains, 1 anchors.\n")
    status, output = manta(installation, "verify", "--json")
    assert (status, json.loads(output)["ok"]) == (0, True)


def test_an_export_is_json_lines(installation: Installation) -> None:
    status, output = manta(installation, "export")
    rows = [json.loads(line) for line in output.splitlines()]
    assert (status, [row["action"] for row in rows]) == (0, ["key.create", "key.revoke", "key.create"])
    assert {row["actor"] for row in rows} == {"system"}
    assert manta(installation, "export", "--since", "2999-01-01") == (0, "")
    assert manta(installation, "export", "--organization", "org_none") == (0, "")
    assert len(manta(installation, "export", "--until", "2999-01-01")[1].splitlines()) == 3


def test_what_was_touched_is_told_and_a_restored_backup_is_vouched_for(installation: Installation) -> None:
    tampered(
        installation,
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "DELETE FROM audit_log WHERE seq > 1",
        "UPDATE audit_heads SET seq = 1, hash = (SELECT hash FROM audit_log)",
        "ALTER TABLE audit_log ENABLE TRIGGER ALL",
    )
    status, output = manta(installation, "verify")
    assert (status, "default, entry 2: it is missing" in output) == (1, True)
    status, output = manta(installation, "verify", "--json")
    (fault,) = json.loads(output)["faults"]
    assert (fault["organization_id"], fault["seq"], fault["trace"]) == ("default", 2, "missing")
    assert manta(installation, "restored") == (0, "default: anchors after entry 1 count no more.\n")
    status, output = manta(installation, "verify")
    assert (status, "restored from a backup at entry 1" in output) == (0, True)
    assert "database.restored" in manta(installation, "export")[1]


def test_a_forged_anchor_is_told(installation: Installation, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    anchors.append(forged, [anchors.Anchor("default", 1, b"x" * 32, "2026-01-01")], "not the key")
    status, output = manta(installation, "verify", "--anchors", str(forged))
    assert (status, "line 1 of forged: the anchor has no good signature" in output) == (1, True)


def test_a_file_that_is_not_there_is_told(installation: Installation, tmp_path: Path) -> None:
    from configs.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="nothing"):
        CliRunner().invoke(
            app,
            ["verify", "--anchors", str(tmp_path / "nothing"), "--data-dir", str(installation.data_dir)],
            catch_exceptions=False,
        )
    with pytest.raises(ConfigurationError, match="no database"):
        CliRunner().invoke(app, ["verify", "--data-dir", str(tmp_path / "new")], catch_exceptions=False)
