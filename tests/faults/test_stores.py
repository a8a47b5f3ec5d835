"""PostgreSQL and Valkey, killed."""

import pytest

from tests.faults.streams import RawStream
from tests.faults.test_engine import ask
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.faults

HEAL_S = 60


@pytest.mark.parametrize("part", ["postgres", "valkey"])
def test_streams_go_on_and_the_store_comes_back(own_stack: Stack, part: str) -> None:
    made = own_stack.request("POST", "/api/keys", json={"name": f"before {part}"}).json()
    stream = RawStream(own_stack, tokens=3000).read_until(b'"content"')
    old = own_stack.kill(part)
    assert ask(own_stack) in {"stop", "length"}
    assert b"[DONE]" in stream.read_to_close()
    own_stack.until(lambda: any(process.pid != old for process in own_stack.processes(part)), HEAL_S)
    own_stack.wait_ready(("starter",))
    listed = own_stack.get("/api/keys").json()["data"]
    assert made["id"] in [key["id"] for key in listed]
    assert own_stack.sdk(api_key=made["key"]).models.list().data
