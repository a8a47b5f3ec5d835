"""The machine: processor, GPU, memory, shared memory, compiler, file handles."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from api.cli import memory
from api.cli.checks.finding import Finding, fail, ok, warn
from api.cli.output import size
from configs import processes
from configs.catalog import Catalog
from configs.errors import MantaError

COMPILERS = ("g++", "c++", "clang++")
NVIDIA = "nvidia-smi"
NVIDIA_S = 20.0
SHM = Path("/dev/shm")  # noqa: S108  where Ray's object store lies
SHM_BYTES = 128 * 2**20
"""The object store's size (api.launcher.head)."""
FILES = 4096
"""500 streams take two sockets each in the ingress, and Ray and the stores take some hundreds."""


def check(catalog: Catalog, *, running: bool) -> Iterator[Finding]:
    """Every finding about the machine."""
    yield _cpu()
    yield _gpu()
    yield _memory(catalog, running=running)
    yield _shared_memory()
    yield _compiler()
    yield _files()


def _cpu() -> Finding:
    usable = len(os.sched_getaffinity(0))
    return ok("cpu", f"{usable} of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def _gpu() -> Finding:
    if shutil.which(NVIDIA) is None:
        return ok("gpu", "no NVIDIA GPU in sight: models run on the CPU")
    query = [NVIDIA, "--query-gpu=name,memory.total,memory.used", "--format=csv,noheader"]
    try:
        told = processes.run(query, timeout_s=NVIDIA_S, cwd=Path("/"), env={"PATH": os.environ.get("PATH", os.defpath)})
    except MantaError as error:
        return warn("gpu", f"nvidia-smi is there and fails: {error.message}", "mend the NVIDIA driver, or go without")
    return ok("gpu", "; ".join(told.output.splitlines()))


def _memory(catalog: Catalog, *, running: bool) -> Finding:
    models = catalog.configuration.model_list
    total = psutil.virtual_memory().total
    free = f"{size(memory.available())} of {size(total)} free"
    if running:
        return ok("memory", f"{free}; the models run already")
    lacking = memory.shortage(models, besides=memory.STACK_BYTES)
    unknown = [spec.model_name for spec in models if memory.weights(spec) is None]
    apart = f" (without the weights of {', '.join(unknown)}, which are not here yet)" if unknown else ""
    if lacking is not None:
        return fail("memory", lacking + apart, "serve fewer or smaller models, or lower kv_cache_memory_bytes")
    wanted = memory.STACK_BYTES + sum(map(memory.needed, models))
    return ok("memory", f"{free}; the configured models take about {size(wanted)}{apart}")


def _shared_memory() -> Finding:
    if not SHM.is_dir():
        return fail("shm", f"{SHM} is not there", f"mount a tmpfs on {SHM}")
    free = shutil.disk_usage(SHM).free
    if free < SHM_BYTES:
        return fail(
            "shm", f"{SHM} has {size(free)} free, {size(SHM_BYTES)} are needed", "give the container --shm-size=1g"
        )
    return ok("shm", f"{SHM} has {size(free)} free")


def _compiler() -> Finding:
    found = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if found is None:
        return warn("compiler", "no C++ compiler: engines run with enforce_eager, which is slower", "install g++")
    return ok("compiler", f"{found} (torch.compile)")


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < FILES:
        return warn(
            "files", f"{soft} open files are allowed", f"`ulimit -n {min(max(FILES, 65536), hard)}` before serve"
        )
    return ok("files", f"{soft} open files are allowed")
