"""The data directory: who may read it, who holds it, how full its disk is."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from api.cli.checks.finding import Finding, fail, ok, warn
from api.cli.installation import Running
from api.cli.output import size
from configs import accounts, secretfiles
from configs.datadir import Layout
from configs.errors import ConfigurationError

ROOM_BYTES = 2 * 2**30
LITTLE_BYTES = 200 * 2**20


def check(layout: Layout, running: Running | None) -> Iterator[Finding]:
    """Every finding about the data directory."""
    yield _itself(layout, running)
    if layout.secrets.exists():
        yield _secrets(layout)
    yield _disk(layout.data_dir)


def _itself(layout: Layout, running: Running | None) -> Finding:
    where = str(layout.data_dir)
    if not layout.data_dir.exists():
        parent = _existing(layout.data_dir)
        if not os.access(parent, os.W_OK):
            return fail("data directory", f"{where} cannot be made: {parent} is closed", "choose another --data-dir")
        return ok("data directory", f"{where} does not exist yet; the first start makes it")
    info = layout.data_dir.stat()
    if info.st_uid != os.geteuid():
        owner = accounts.by_uid(info.st_uid).name
        return fail("data directory", f"{where} belongs to {owner}", f"run as {owner}, or choose another --data-dir")
    if info.st_mode & (stat.S_IRWXO | stat.S_IRWXG) & ~(stat.S_IXGRP | stat.S_IXOTH):
        mode = f"{stat.S_IMODE(info.st_mode):04o}"
        return fail("data directory", f"{where} is open to others (mode {mode})", f"chmod go-rw {where}")
    held = f"held by pid {running.pid}, {running.url}" if running else "nothing runs in it"
    return ok("data directory", f"{where}: {held}")


def _secrets(layout: Layout) -> Finding:
    try:
        secretfiles.refuse_open_folder(layout.secrets)
    except ConfigurationError as error:
        return fail("secrets", error.message, f"chmod 700 {layout.secrets}")
    loose = [file.name for file in layout.secrets.iterdir() if file.stat().st_mode & 0o077]
    if loose:
        return fail("secrets", f"open to others: {', '.join(loose)}", f"chmod go= {layout.secrets}/*")
    return ok("secrets", f"{layout.secrets} is closed to others")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    if free < LITTLE_BYTES:
        return fail("disk", f"{size(free)} free at {folder}", "free some space, or choose another --data-dir")
    if free < ROOM_BYTES:
        return warn("disk", f"{size(free)} free at {folder}", "free some space before models are pulled")
    return ok("disk", f"{size(free)} free at {folder}")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
