"""The steps of an install, in order, each with the digest that says when it must run again."""

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.installer.errors import InstallFailed, NoSuchWheel
from scripts.installer.pip import Pip, environment, say
from scripts.installer.state import digest
from scripts.installer.verify import check_fit, check_imports


@dataclass(frozen=True, slots=True)
class Step:
    """One part of an install."""

    name: str
    title: str
    digest: str
    run: Callable[[], None]


class Plan:
    """What `make install` does for one device, in one virtual environment.

    torch comes first and apart (`requirements/README.md` says why); the other sets are lists that pip installs as they
    stand, without looking at dependencies.
    """

    def __init__(self, root: Path, device: str, *, dev: bool) -> None:
        self.root = root
        self.device = device
        self.dev = dev
        self.locks = root / "requirements"
        self.python = root / ".venv" / "bin" / "python"
        self.pip = Pip(self.python, root / ".venv" / "install.log")

    def steps(self) -> list[Step]:
        """Return the steps, the dev set only when it is asked for."""
        product, extra = self.locks / f"{self.device}.txt", self.locks / "dev.txt"
        torch = [self.locks / "torch.txt", self.locks / "torch-cuda.txt"]
        source = os.environ.get("TORCH_INDEX", "") + os.environ.get("TORCH_SHA256", "")
        steps = [
            Step("torch", "torch 2.13.0", digest(self.device, source, *torch), self._torch),
            Step("product", f"the {self.device.upper()} set", digest(product), lambda: self._set(product)),
            Step("project", "Manta itself", digest(_packaging(self.root / "pyproject.toml")), self._project),
        ]
        every = digest(*(step.digest for step in steps))
        steps.append(Step("check", "bytecode, checks and imports", every, self._check))
        if self.dev:
            steps.append(Step("dev", "the dev set", digest(every, extra), lambda: self._dev(extra)))
        return steps

    def _torch(self) -> None:
        """Install torch: the CUDA build for a GPU; else a CPU build if pip finds one, else the index's own."""
        if self.device == "gpu":
            self._set(self.locks / "torch-cuda.txt", *_torch_source())
            return
        try:
            self._torch_build("+cpu")
        except NoSuchWheel:
            say("pip finds no CPU build of torch (TORCH_INDEX can name a place that has one): taking the index's own")
            self._torch_build("")
        if cuda := self._cuda_version():
            say(f"that is the CUDA {cuda} build: adding the libraries it loads (about 3 GB)")
            self._set(self.locks / "torch-cuda.txt")

    def _torch_build(self, local: str) -> None:
        """Install the locked torch with a local version label, "" for none.

        Asked for `==2.13.0` alone, pip would pass over a CPU wheel in a folder: an index tells a file's hash before the
        download, a folder does not, and pip prefers what it knows to be allowed.
        """
        allowed = os.environ.get("TORCH_SHA256")
        text = re.sub(
            r"^(torch==[^\s+]+)", rf"\g<1>{local}", (self.locks / "torch.txt").read_text(), flags=re.M
        ).rstrip()
        with tempfile.TemporaryDirectory() as folder:
            lock = Path(folder, "torch.txt")
            lock.write_text(f"{text} \\\n    --hash=sha256:{allowed}\n" if allowed else f"{text}\n")
            self._set(lock, *_torch_source())

    def _cuda_version(self) -> str | None:
        """Return the CUDA version that the installed torch was built for, None for a CPU build."""
        text = next((self.root / ".venv" / "lib").glob("python*/site-packages/torch/version.py")).read_text()
        found = re.search(r"^cuda\b.*= '([\d.]+)'", text, re.M)
        return found.group(1) if found else None

    def _set(self, lock: Path, *flags: str) -> None:
        self.pip.install_locked("-r", str(lock), *flags)

    def _project(self) -> None:
        """Install this repository in place; setuptools is in the set, so nothing is fetched."""
        self.pip.install("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(self.root))

    def _check(self) -> None:
        """Compile once, on every core, then see whether the set fits together and imports."""
        self._compile()
        check_fit(self.python, self._absent())
        check_imports(self.python, self.root)

    def _dev(self, lock: Path) -> None:
        """Add what checks and tests Manta."""
        self._set(lock)
        self._compile()
        check_fit(self.python, self._absent())

    def _compile(self) -> None:
        """Write bytecode for what has none yet. pip would do it on one core."""
        # Some packages ship templates that are no valid Python; pip skips them too, hence no look at the exit code.
        command = [str(self.python), "-m", "compileall", "-qq", "-j", "0", str(self.root / ".venv" / "lib")]
        subprocess.run(command, env=environment(), check=False)

    def _absent(self) -> set[str]:
        """Return the distributions that this device's set leaves out on purpose."""
        return set((self.locks / "excluded.txt").read_text().split()) if self.device == "cpu" else set()


def _packaging(pyproject: Path) -> str:
    """Return what an installed project is made from: a changed lint rule is no reason to install again."""
    whole = tomllib.loads(pyproject.read_text())
    return repr((whole["build-system"], whole["project"], whole["tool"]["setuptools"]))


def _torch_source() -> list[str]:
    """Return pip's flags for `TORCH_INDEX`: an index's address, or a folder of wheels."""
    source = os.environ.get("TORCH_INDEX")
    if not source:
        return []
    return ["--no-index", "--find-links", source] if Path(source).is_dir() else ["--index-url", source]


def choose_device(before: str) -> str:
    """Return "cpu" or "gpu": `MANTA_DEVICE`, else what was installed before, else whether an NVIDIA GPU answers.

    Raises:
        InstallFailed: when `MANTA_DEVICE` is something else.
    """
    asked = os.environ.get("MANTA_DEVICE", "") or before
    if asked:
        if asked not in ("cpu", "gpu"):
            raise InstallFailed(f"MANTA_DEVICE is {asked!r}: expected cpu or gpu")
        return asked
    tool = shutil.which("nvidia-smi")
    answers = tool and subprocess.run([tool, "-L"], capture_output=True, check=False, timeout=60).returncode == 0
    return "gpu" if answers else "cpu"
