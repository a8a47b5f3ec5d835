"""People on a running stack: what they lose, they lose in the middle of a stream; and what operators do meanwhile."""

import json
from typing import Any

import httpx2
import pytest

from tests.faults.streams import in_background
from tests.fixtures.members import Member, registered
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack

CUT_S = 5


def everywhere_out(member: Member) -> httpx2.Response:
    return member.request("DELETE", "/api/auth/sessions")


def demoted(member: Member) -> httpx2.Response:
    return member.stack.request("PATCH", f"/api/users/{member.id}", json={"role": "viewer"})


def deleted(member: Member) -> httpx2.Response:
    return member.stack.request("DELETE", f"/api/users/{member.id}")


@pytest.mark.parametrize("act", [everywhere_out, demoted, deleted])
def test_a_lost_right_ends_the_streams_it_carried_and_no_other(stack: Stack, act: Any) -> None:
    loser, other = registered(stack, f"loser-{act.__name__}"), registered(stack, f"other-{act.__name__}")
    lost, kept = loser.stream(), other.stream(tokens=1200)
    reading, received = in_background(lost.read_to_close)
    answer = act(loser)
    assert answer.status_code in {200, 204}, answer.text
    stack.until(lambda: not reading.is_alive(), CUT_S)
    (text,) = received
    assert b"[DONE]" not in text
    assert b'"error"' in text
    assert b"[DONE]" in kept.read_to_close()
    assert loser.request("POST", "/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": "x"}).status_code in {
        401,
        403,
    }
    assert other.request("GET", "/v1/models").status_code == 200


def test_a_revoked_key_of_a_person_ends_its_streams(stack: Stack) -> None:
    member = registered(stack, "keyed")
    key = member.request("POST", "/api/keys", json={"name": "mine", "permissions": ["inference"]}).json()
    reading, received = in_background(member.stream(key["key"]).read_to_close)
    assert member.request("DELETE", f"/api/keys/{key['id']}").status_code == 200
    stack.until(lambda: not reading.is_alive(), CUT_S)
    assert b"[DONE]" not in received[0]


def test_keys_turn_and_chains_are_checked_while_people_work(stack: Stack) -> None:
    member = registered(stack, "busy")
    written = member.request("POST", "/api/conversations", json={"title": "before the rotation"}).json()
    told = stack.manta("secrets", "rotate", "--json", "--config", str(stack.config))
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["wrapped"] > 0
    read = member.request("GET", f"/api/conversations/{written['id']}").json()
    assert read["title"] == "before the rotation"
    newcomer = registered(stack, "after-the-rotation")
    assert newcomer.request("POST", "/api/conversations", json={"title": "after it"}).status_code == 201
    told = stack.manta("secrets", "rotate", "--tokens", "--json", "--config", str(stack.config))
    assert told.returncode == 0, told.stderr
    assert member.request("GET", "/api/auth/me").status_code == 200
    checked = stack.manta("audit", "verify", "--json", "--config", str(stack.config))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    lines = stack.manta("audit", "export", "--config", str(stack.config)).stdout.splitlines()
    acts = {json.loads(line)["action"] for line in lines}
    assert {"key.create", "user.remove"} <= acts, acts
