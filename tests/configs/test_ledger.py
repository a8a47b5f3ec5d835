import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from configs.accounts import Account
from configs.errors import ConfigurationError
from configs.ledger import Ledger
from configs.processes import Child, spawn


def sleeper(folder: Path, name: str = "sleeper") -> Child:
    env = {"PATH": os.defpath, "SECRET": "s3cret", "ODD": "\udcff"}
    return spawn(name, ["/bin/sleep", "60"], cwd=folder, env=env, stdout=folder / "log")


def test_the_next_launcher_finds_what_runs_and_how_it_was_started(data_root: Path) -> None:
    path = data_root / "processes.json"
    first, second = sleeper(data_root, "first"), sleeper(data_root, "second")
    try:
        Ledger(path).add(first)
        Ledger(path).add(second)
        found = Ledger(path).survivors()
        assert found == [first, second]
        assert [child.command for child in found] == [first.command, second.command]
        assert path.stat().st_mode & 0o777 == 0o600
        assert "s3cret" not in repr(found)
        first.terminate(5)
        assert Ledger(path).survivors() == [second]
        assert found[0].command is not None
        again = found[0].command.spawn()
        Ledger(path).add(again)
        assert Ledger(path).survivors() == [second, again]
        again.terminate(5)
    finally:
        first.terminate(5)
        second.terminate(5)


def test_what_was_removed_is_forgotten(data_root: Path) -> None:
    ledger = Ledger(data_root / "processes.json")
    child = sleeper(data_root)
    try:
        ledger.add(child)
        ledger.remove(child)
        assert ledger.survivors() == []
    finally:
        child.terminate(5)


def test_a_recycled_pid_is_no_survivor(data_root: Path) -> None:
    ledger = Ledger(data_root / "processes.json")
    child = sleeper(data_root)
    try:
        ledger.add(replace(child, started_at=child.started_at - 1))
        assert ledger.survivors() == []
    finally:
        child.terminate(5)


def test_pids_of_an_earlier_boot_mean_nothing(data_root: Path) -> None:
    path = data_root / "processes.json"
    child = sleeper(data_root)
    try:
        Ledger(path).add(child)
        page = json.loads(path.read_text())
        path.write_text(json.dumps(page | {"boot_id": "another"}))
        assert Ledger(path).survivors() == []
    finally:
        child.terminate(5)


def test_an_account_is_kept(data_root: Path) -> None:
    path = data_root / "processes.json"
    child = sleeper(data_root)
    try:
        assert child.command is not None
        command = replace(child.command, account=Account("someone", 4321, 8765))
        Ledger(path).add(replace(child, command=command))
        assert [found.command for found in Ledger(path).survivors()] == [command]
    finally:
        child.terminate(5)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"children": []}', '{"boot_id": 1, "children": [{}]}'])
def test_a_damaged_ledger_is_named(data_root: Path, text: str) -> None:
    path = data_root / "processes.json"
    path.write_text(
        text.replace('"boot_id": 1', f'"boot_id": "{Path("/proc/sys/kernel/random/boot_id").read_text().strip()}"')
    )
    with pytest.raises(ConfigurationError, match=r"processes\.json' is damaged"):
        Ledger(path).survivors()
