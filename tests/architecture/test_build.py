"""Locks, Makefile, CI and documents agree with each other."""

import os
import re

import pytest
import yaml

from scripts.lock import ADDRESS, BUILD, parse, read
from scripts.test import GROUPS, steps
from tests.architecture.tracked import ROOT, text_of, tracked

LOCKS = ("cpu.txt", "gpu.txt", "dev.txt", "torch.txt", "torch-cuda.txt")
MAKE = text_of("Makefile")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKE, re.M))
DEV_TOOLS = {
    "bandit", "coverage", "detect-secrets", "hypothesis", "import-linter", "mypy", "pip-audit", "pre-commit", "pytest",
    "pytest-asyncio", "pytest-timeout", "ruff", "types-jsonschema", "types-psutil", "types-pyyaml", "uv",
}  # fmt: skip


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_carries_hashes_and_no_address(lock: str) -> None:
    text = text_of(f"requirements/{lock}")
    assert not ADDRESS.search(text)
    assert parse(text)
    for entry in parse(text).values():
        lines = entry.replace("\\\n", "\n").split("\n")
        assert re.fullmatch(r"[\w.-]+={2,3}[\w.+!-]+", lines[0].strip())
        assert len(lines) > 1
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line.strip()) for line in lines[1:])


def test_an_address_in_a_lock_is_seen() -> None:
    assert ADDRESS.search("--index-" + "url somewhere\n")
    assert ADDRESS.search("name @ /folder/name.whl")
    assert ADDRESS.search("https" + "://somewhere/simple")


def test_the_dev_set_holds_the_tools_and_moves_nothing_of_the_product() -> None:
    assert read("dev.txt").keys() >= DEV_TOOLS
    assert not read("dev.txt").keys() & read("cpu.txt").keys() & read("gpu.txt").keys()


def test_the_torch_lock_allows_every_listed_build() -> None:
    builds = [digest for digest, _ in BUILD.findall(text_of("requirements/torch.in"))]
    assert builds
    assert all(digest in read("torch.txt")["torch"] for digest in builds)


def test_ci_runs_what_the_readme_names() -> None:
    lines = text_of(".ci/run").splitlines()
    assert lines[-1] == "exec make test"
    assert len(lines) == 2
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert re.search(r"^make test ", text_of("README.md"), re.M)
    jobs = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["test"]["steps"]]


def test_every_target_is_phony_and_every_named_target_exists() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKE, re.M)
    assert set(phony.split()) == TARGETS
    named = {
        (name, target)
        for name in tracked(".md")
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text_of(name), re.M)
    }
    assert {(name, target) for name, target in named if target not in TARGETS} == set()
    assert {"serve", "test"} <= {target for _, target in named}


def test_the_test_command_covers_every_folder_of_tests() -> None:
    assert [group for group in GROUPS if any(step.group == group for step in steps(deep=False))] == list(GROUPS)
    unit, *apart = [step.command for step in steps(deep=False) if "pytest" in step.command]
    ignored = {argument.removeprefix("--ignore=") for argument in unit if argument.startswith("--ignore=")}
    assert ignored == {command[-1] for command in apart}
    assert "tests" in unit
