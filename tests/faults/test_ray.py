"""Ray's own processes, killed."""

import time

import pytest

from tests.faults.streams import RawStream
from tests.faults.test_engine import ask
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.faults

HEAL_S = 180


@pytest.mark.parametrize("part", ["controller", "gcs", "control"])
def test_streams_go_on_and_the_part_comes_back(own_stack: Stack, part: str) -> None:
    stream = RawStream(own_stack, tokens=3000).read_until(b'"content"')
    old = own_stack.kill(part)
    assert b"[DONE]" in stream.read_to_close()
    own_stack.until(lambda: any(process.pid != old for process in own_stack.processes(part)), HEAL_S)
    assert ask(own_stack) in {"stop", "length"}
    own_stack.wait_ready(("starter",))


def test_a_raylet_stays_with_the_gcs_that_came_back(own_stack: Stack) -> None:
    """Ray's raylet gives up after a minute without a GCS that it can reach; none may pass before this is seen."""
    (raylet,) = own_stack.processes("raylet")
    own_stack.kill("gcs")
    time.sleep(75)
    assert raylet.is_running()
    assert ask(own_stack) in {"stop", "length"}


def test_killed_raylet_takes_a_new_head(own_stack: Stack) -> None:
    old = own_stack.kill("raylet")
    own_stack.until(lambda: any(process.pid != old for process in own_stack.processes("raylet")), HEAL_S)
    own_stack.wait_ready(("starter",))
    assert ask(own_stack) in {"stop", "length"}
