"""The commands, on a running stack, as a script uses them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.stack import CONFIGURATION, Stack

pytestmark = pytest.mark.stack


def told(stack: Stack, *arguments: str, status: int = 0, given: str = "") -> Any:
    """What a command prints as JSON."""
    ran = run(stack, *arguments, "--json", given=given)
    assert ran.returncode == status, ran.stderr
    return json.loads(ran.stdout)


def run(stack: Stack, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return stack.manta(*arguments, "--config", str(stack.config), given=given)


def test_keys(stack: Stack) -> None:
    made = told(stack, "keys", "create", "--name", "laptop", "--permission", "inference", "--expires-in", "30d")
    assert made["key"].startswith("sk-")
    assert stack.sdk(api_key=made["key"]).models.list().data
    assert made["id"] in [key["id"] for key in told(stack, "keys", "list")]
    assert told(stack, "keys", "revoke", made["id"])["id"] == made["id"]
    assert made["id"] not in [key["id"] for key in told(stack, "keys", "list")]
    assert run(stack, "keys", "revoke", made["id"]).returncode == 1
    assert run(stack, "keys", "create", "--name", "x", "--permission", "nothing").returncode == 1


def test_models_list(stack: Stack) -> None:
    rows = {row["id"]: row for row in told(stack, "models", "list")}
    starter = rows["starter"]
    assert starter["kind"] == "chat"
    assert starter["state"] == "ready"
    assert starter["replicas"] == 1
    assert starter["source"] == "starter"
    table = run(stack, "models", "list").stdout
    assert "starter" in table
    assert "all-MiniLM-L6-v2" in table


def test_models_add_and_remove(stack: Stack) -> None:
    added = told(stack, "models", "add", "all-MiniLM-L6-v2", "--name", "from-cli", "--kind", "embedding", "--wait")
    assert added["id"] == "from-cli"
    assert stack.sdk().embeddings.create(model="from-cli", input="hello").data
    assert run(stack, "models", "add", "all-MiniLM-L6-v2", "--name", "from-cli").returncode == 1
    assert told(stack, "models", "remove", "from-cli")["id"] == "from-cli"
    assert run(stack, "models", "remove", "from-cli").returncode == 1


def test_a_hub_that_is_out_of_reach_is_said(stack: Stack) -> None:
    ran = run(stack, "models", "pull", "nobody/nothing")
    assert ran.returncode == 1
    assert "nobody/nothing" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_status(stack: Stack) -> None:
    found = told(stack, "status")
    assert found["url"] == stack.url
    assert {"starter", "all-MiniLM-L6-v2"} <= {model["id"] for model in found["models"]}
    assert "starter" in run(stack, "status").stdout


def test_doctor_names_every_open_port(stack: Stack) -> None:
    ran = run(stack, "doctor", "--json")
    findings = json.loads(ran.stdout)
    assert {finding["status"] for finding in findings} <= {"ok", "warn", "fail"}
    assert "Traceback" not in ran.stderr
    assert str(stack.port) in ran.stdout


def test_logs(stack: Stack) -> None:
    parts = {row["part"] for row in told(stack, "logs")}
    assert {"launcher", "ingress", "postgres", "ray", "model:starter"} <= parts
    assert run(stack, "logs", "--part", "postgres", "-n", "3").stdout
    assert run(stack, "logs", "--part", "nobody").returncode == 1


def test_config(stack: Stack, tmp_path: Path) -> None:
    shown = run(stack, "config", "show", "--origin").stdout
    assert str(stack.config) in shown
    assert told(stack, "config", "show")
    file = tmp_path / "manta.yaml"
    file.write_text(CONFIGURATION)
    assert stack.command("config", "validate", str(file)).returncode == 0
    file.write_text(CONFIGURATION.replace("max_model_len", "max_modell_len"))
    wrong = stack.command("config", "validate", str(file))
    assert wrong.returncode == 1
    assert "max_model_len" in wrong.stdout + wrong.stderr
    assert json.loads(stack.command("config", "schema").stdout)["$schema"]


def test_db(stack: Stack) -> None:
    assert told(stack, "db", "check")
    assert told(stack, "db", "upgrade")


def test_chat_answers_what_is_piped_in(stack: Stack) -> None:
    answer = told(stack, "chat", "--temperature", "0", given="What is Manta?")
    assert "Manta" in answer["content"]
    plain = run(stack, "chat", "--model", "starter", "--max-tokens", "5", given="hello")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.strip()


def test_profile(stack: Stack) -> None:
    phases = told(stack, "profile", "-n", "2", "--tokens", "4")["phases"]
    assert {"lease", "first_byte", "stream", "prefill", "decode"} <= {phase["phase"] for phase in phases}
    assert "first token" in run(stack, "profile", "-n", "2", "--tokens", "4").stdout


def test_bench(stack: Stack) -> None:
    figures = told(stack, "bench", "--concurrency", "1,2", "--tokens", "4")
    assert figures.keys() == {"1", "2"}
    assert "tok/s" in run(stack, "bench", "--concurrency", "1", "--tokens", "4").stdout


def test_a_second_serve_says_what_is_in_the_way(stack: Stack) -> None:
    ran = run(stack, "serve", "--port", "0")
    assert ran.returncode == 1
    assert str(stack.pid) in ran.stderr
    port = str(stack.port)
    elsewhere = stack.command("serve", "--port", port, "--data-dir", str(stack.data_dir.parent / "other"))
    assert elsewhere.returncode == 1
    assert "--port" in elsewhere.stderr


def test_a_wrong_key_or_server_is_said(stack: Stack) -> None:
    assert run(stack, "models", "list", "--url", stack.url, "--key", "sk-wrong").returncode == 1
    silent = run(stack, "models", "list", "--url", "http://127.0.0.1:9", "--key", "sk-wrong")
    assert silent.returncode == 1
    assert "Traceback" not in silent.stderr
