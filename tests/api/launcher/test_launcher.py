"""The guard of one part, on a real process; no stack is started."""

import os
from collections.abc import AsyncIterator

import pytest

from api.launcher.launcher import Launcher
from api.launcher.parts import Parts
from api.launcher.port_keeper import PortKeeper
from api.port import bind
from configs.catalog import load
from configs.datadir import Layout
from configs.errors import Internal, MantaError
from configs.ledger import Ledger
from configs.processes import Child, spawn
from configs.specs import GeneralSettings


@pytest.fixture
async def launcher(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Launcher]:
    monkeypatch.setattr("api.launcher.launcher.RESTART_PAUSE_S", 0.0)
    parts = Parts(lambda _: None)
    keeper = PortKeeper(bind(GeneralSettings(port=0), reuse_port=False), parts.as_json)
    yield Launcher(load(None, {"data_dir": str(layout.data_dir)}), layout, keeper, parts)
    keeper.close()


def short_lived(layout: Layout) -> Child:
    env = {"PATH": os.defpath}
    return spawn("part", ["/bin/true"], cwd=layout.data_dir, env=env, stdout=layout.logs / "part.log")


@pytest.mark.parametrize("failure", [Internal("not ready"), OSError("no disk"), ValueError("a mistake of ours")])
async def test_a_part_is_tried_again_whatever_its_start_raises(
    launcher: Launcher, layout: Layout, failure: MantaError | OSError | ValueError
) -> None:
    tries = 0

    async def again() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise failure

    child = short_lived(layout)
    launcher._ledger.add(child)
    await launcher._guard(child, again, lambda _: True)
    assert tries == 3
    assert Ledger(layout.processes).survivors() == []


async def test_a_part_that_nobody_wants_any_more_is_let_go(launcher: Launcher, layout: Layout) -> None:
    async def again() -> None:
        pytest.fail("it was started again")

    await launcher._guard(short_lived(layout), again, lambda _: False)
