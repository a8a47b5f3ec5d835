"""The launcher, killed; stopped; started twice."""

import json

import pytest

from tests.faults.streams import RawStream
from tests.faults.test_engine import ask
from tests.fixtures.stack import CONFIGURATION, stack_in_folder

pytestmark = pytest.mark.faults

EMBEDDER = {
    "model_name": "kept",
    "kind": "embedding",
    "params": {"model": "sentence_transformers/all-MiniLM-L6-v2"},
}
NOBODY = "postgresql://nobody@127.0.0.1:9/nothing"


@pytest.mark.timeout(600)
def test_next_start_cleans_up_after_a_killed_launcher_and_stop_leaves_nothing() -> None:
    with stack_in_folder(CONFIGURATION.partition("  - model_name: all-MiniLM")[0]) as stack:
        stack.start().wait_ready(("starter",))
        made = stack.request("POST", "/api/keys", json={"name": "kept"}).json()
        assert stack.request("POST", "/api/models", json=EMBEDDER).status_code == 201
        left = stack.all_processes()
        assert left
        stack.kill_launcher()
        stack.start().until(lambda: not any(process.is_running() for process in left), 30)
        stack.wait_ready(("starter",))
        assert stack.sdk(api_key=made["key"]).models.list().data
        assert ask(stack) in {"stop", "length"}
        assert stack.sdk(timeout=120).embeddings.create(model="kept", input="still served").data
        stream = RawStream(stack, tokens=1500).read_until(b'"content"')
        assert stack.stop() == 0
        assert b"data: [DONE]" in stream.read_to_close()
        assert stack.all_processes() == []


def test_the_launcher_answers_while_the_parts_start_and_can_be_stopped_then() -> None:
    with stack_in_folder() as stack:
        stack.start()
        stack.until(lambda: stack.answer("/livez") is not None, 60)
        first = stack.answer("/readyz")
        assert first is not None
        assert first.status_code == 503
        assert first.json()["parts"]
        assert stack.stop() == 0
        assert stack.all_processes() == []


def test_keys_and_models_can_be_changed_while_nothing_runs() -> None:
    with stack_in_folder() as stack:
        made = json.loads(stack.manta("keys", "create", "--name", "early", "--json").stdout)
        assert made["key"].startswith("sk-")
        listed = json.loads(stack.manta("keys", "list", "--json").stdout)
        assert made["id"] in [key["id"] for key in listed]
        models = json.loads(stack.manta("models", "list", "--config", str(stack.config), "--json").stdout)
        assert {"starter", "all-MiniLM-L6-v2"} <= {model["id"] for model in models}
        assert stack.manta("status").returncode in {0, 1, 2}
        assert stack.all_processes() == []


def test_a_database_that_cannot_be_reached_ends_the_start_and_everything_with_it() -> None:
    with stack_in_folder() as stack:
        ran = stack.command(
            "serve", "--port", "0", "--data-dir", str(stack.data_dir), environment={"DATABASE_URL": NOBODY}
        )
        assert ran.returncode == 1
        assert "seed.log" in ran.stderr
        assert stack.all_processes() == []
