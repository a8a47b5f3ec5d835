"""The root packages are this repository's, wherever the process stands that imports them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs import switches
from configs.datadir import Layout
from configs.settings import Settings
from tests.architecture.tracked import ROOT

PACKAGES = ("agent", "api", "configs", "finetune", "models", "retrieval", "serving")

HERE = """
import importlib, json
def where():
    return {name: importlib.import_module(name).__file__ for name in %r}
""" % (PACKAGES,)  # noqa: UP031  braces
ALONE = HERE + "print(json.dumps(where()))"
IN_A_WORKER = (
    HERE
    + """
import os, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, configure_logging=False, log_to_driver=False)
@ray.remote
def worker():
    return os.getpid(), where()
pid, found = ray.get(worker.remote())
assert pid != os.getpid()
print(json.dumps(found))
"""
)


@pytest.mark.parametrize("program", [ALONE, IN_A_WORKER], ids=["a process", "a Ray worker"])
def test_root_packages_are_this_repositorys(program: str, layout: Layout) -> None:
    for name in PACKAGES:  # what a folder of data may well be called
        decoy = layout.data_dir / name
        decoy.mkdir(exist_ok=True)
        (decoy / "__init__.py").write_text("raise ImportError('this one is not ours')\n")
    layout.secret("ray_token")
    found = run(program, layout.ray, switches.environment(layout, Settings()))
    assert found.keys() == set(PACKAGES)
    for name, file in found.items():
        assert Path(file).parent == ROOT / name


def run(program: str, folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Run a program in `folder`; the JSON of its last line."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    answer: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return answer
