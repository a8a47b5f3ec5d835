"""Flame graphs of a running part, by py-spy: it looks from outside and needs no change of the process."""

import os
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from api.cli import processes as running
from api.cli.installation import Installation
from configs import processes
from configs.errors import BadRequest, ConfigurationError, Internal, NotFound
from serving.names import APP_PREFIX, app_name

PARTS = ("ingress", "engine", "replica", "control", "controller", "launcher")
RATE_HZ = 200
GRACE_S = 60.0


def record(installation: Installation, model: str, part: str, output: Path, seconds: int) -> None:
    """Look into `part` for some seconds and write the graph.

    Raises:
        MantaError: no such part, py-spy is missing, or it may not look.
    """
    pid = pid_of(installation, model, part)
    arguments = ["record", "-o", str(output.absolute()), "-d", str(seconds), "-r", str(RATE_HZ), "-p", str(pid)]
    try:
        processes.run(
            [str(program()), *arguments],
            timeout_s=seconds + GRACE_S,
            cwd=Path.cwd(),
            env={"PATH": os.defpath},
        )
    except Internal as error:
        if "ermission" in error.message:
            msg = f"py-spy may not look into pid {pid}: run as root or, in a container, add the capability SYS_PTRACE"
            raise ConfigurationError(msg) from error
        raise


def pid_of(installation: Installation, model: str, part: str) -> int:
    """The process of a part; `engine` and `replica` are the model's.

    Raises:
        BadRequest: no such part.
        NotFound: it does not run.
    """
    if part not in PARTS:
        raise BadRequest(f"--part {part!r} is not known; known are {', '.join(PARTS)}")
    found = running.roles(installation.layout, installation.require_running().pid)
    of_model = part in ("engine", "replica")
    role = f"model:{app_name(model).removeprefix(APP_PREFIX)}" if of_model else part
    pids = running.main_process(found, role)
    if part not in pids:
        raise NotFound(f"no process of {part!r} runs: `manta status` shows those there are")
    return pids[part]


def program() -> Path:
    """py-spy as it was installed beside this package.

    Raises:
        ConfigurationError: it was not.
    """
    try:
        placed = next(file for file in files("py-spy") or [] if file.name == "py-spy")
    except (PackageNotFoundError, StopIteration) as error:
        raise ConfigurationError("py-spy is not installed: `make install` brings it") from error
    return Path(str(placed.locate())).resolve()
