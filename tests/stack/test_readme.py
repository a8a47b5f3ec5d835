"""The README's five minutes, run as they are written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def environment(stack: Stack) -> dict[str, str]:
    return os.environ | {"OPENAI_BASE_URL": f"{stack.url}/v1", "OPENAI_API_KEY": stack.key}


def test_python_as_written(stack: Stack) -> None:
    (line,) = re.findall(r"^\.venv/bin/manta (ingest [^#\n]*)", README, re.M)
    ingested = stack.manta(*line.split())
    assert ingested.returncode == 0, ingested.stdout + ingested.stderr
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python"))],
        env=environment(stack), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    chat, _, rest = ran.stdout.partition(" tokens\n")
    assert re.fullmatch(r".+\n\d+", chat, re.S)
    embeddings, first, second, found, *answer = rest.strip().split("\n")
    assert embeddings == "2 384"
    assert {first, second} == {"starter", "all-MiniLM-L6-v2"}
    assert found == "0017-ingest-in-an-idle-actor.md"
    assert re.search(r"\S.* \S+\.md$", "\n".join(answer), re.S)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_curl_as_written(stack: Stack) -> None:
    (script,) = [block for block in blocks("sh") if block.startswith("curl ")]
    script = script.replace("http://127.0.0.1:8000", stack.url)
    ran = subprocess.run(
        ["bash", "-ec", script], env=environment(stack), capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "data: [DONE]" in ran.stdout
    assert '"models"' in ran.stdout


def test_a_key_as_written(stack: Stack) -> None:
    (line,) = re.findall(r"^\.venv/bin/manta (keys create .*)$", README, re.M)
    made = stack.manta(*line.split())
    assert made.returncode == 0, made.stderr
    key = made.stdout.split()[0]
    assert stack.sdk(api_key=key).models.list().data
    listed = stack.manta("keys", "list")
    assert key[:7] in listed.stdout
    assert key not in listed.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_people_as_written(stack: Stack, tmp_path: Path) -> None:
    (script,) = [block for block in blocks("sh") if "auth/register" in block]
    place = tmp_path / "backups"
    command = f"{shlex.join([sys.executable, '-m', 'api.cli'])} "
    script = script.replace("http://127.0.0.1:8000", stack.url).replace(" backups ", f" {place} ")
    script = re.sub(r"^\.venv/bin/manta ([^#\n]*)", rf"{command}\1 --data-dir {stack.data_dir} ", script, flags=re.M)
    script = script.replace("--from backups", f"--from {place}")
    ran = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"access_token"' in ran.stdout
    assert list(place.rglob("*.json"))
