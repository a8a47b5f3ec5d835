"""The launcher, killed; stopped; started twice."""

import pytest

from tests.faults.test_engine import ask
from tests.fixtures.stack import CONFIGURATION, stack_in_folder

pytestmark = pytest.mark.faults


def test_next_start_cleans_up_after_a_killed_launcher_and_stop_leaves_nothing() -> None:
    with stack_in_folder(CONFIGURATION.partition("  - model_name: all-MiniLM")[0]) as stack:
        stack.start().wait_ready(("starter",))
        made = stack.request("POST", "/api/keys", json={"name": "kept"}).json()
        left = stack.all_processes()
        assert left
        stack.kill_launcher()
        stack.start().until(lambda: not any(process.is_running() for process in left), 30)
        stack.wait_ready(("starter",))
        assert stack.sdk(api_key=made["key"]).models.list().data
        assert ask(stack) in {"stop", "length"}
        assert stack.stop() == 0
        assert stack.all_processes() == []
