import os
from pathlib import Path

import pytest

from configs import accounts
from configs.accounts import Account
from tests.fixtures.data_dirs import as_root, run_as_nobody

STRANGER = Account("stranger", 54321, 54322)


def test_a_user_runs_the_servers_as_itself(data_root: Path) -> None:
    if os.geteuid() == 0:
        run_as_nobody(lambda: _expect_none(data_root))
    else:
        _expect_none(data_root)


def _expect_none(folder: Path) -> None:
    assert accounts.service_account(folder) is None


@as_root
def test_root_hands_the_servers_to_an_unprivileged_account(data_root: Path) -> None:
    account = accounts.service_account(data_root / "absent")
    assert account is not None
    assert account.name in {"manta", "nobody"}
    assert account.uid != 0
    assert accounts.service_account(data_root) == account, "root's own folder decides nothing"


@as_root
def test_a_cluster_stays_with_the_account_that_made_it(data_root: Path) -> None:
    os.chown(data_root, 54321, 0)
    assert accounts.service_account(data_root) == Account("54321", 54321, 54321)


def test_the_first_closed_folder_is_found(data_root: Path) -> None:
    inner = data_root / "a" / "b" / "c"
    inner.mkdir(parents=True)
    for folder in (data_root / "a", data_root / "a" / "b", inner):
        folder.chmod(0o755)
    assert accounts.closed_folder(inner / "absent", STRANGER) is None
    inner.chmod(0o700)
    assert accounts.closed_folder(inner / "absent" / "deeper", STRANGER) == inner
    (data_root / "a").chmod(0o766)
    assert accounts.closed_folder(inner, STRANGER) == data_root / "a"


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [
        (0o755, 54321, 54322, True),
        (0o744, 54321, 54322, False),
        (0o700, os.geteuid(), 54322, True),
        (0o077, os.geteuid(), 54322, False),
        (0o010, 54321, os.getegid(), True),
        (0o701, 54321, os.getegid(), False),
    ],
)
def test_the_first_class_of_bits_that_fits_decides(
    data_root: Path, mode: int, uid: int, gid: int, expected: bool
) -> None:
    program = data_root / "program"
    program.touch()
    program.chmod(mode)
    os.chown(program, -1, os.getegid())
    assert accounts.may_run(program, Account("x", uid, gid)) is expected
