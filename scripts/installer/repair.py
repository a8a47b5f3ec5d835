"""After a run that died half-way: find the distributions whose files are not all there, and forget them.

pip believes a distribution's metadata folder. Without it, pip installs that distribution again over what is left.
"""

import csv
import shutil
from pathlib import Path


def is_whole(metadata: Path) -> bool:
    """Tell whether every file of a distribution's RECORD is there with its recorded size."""
    record = metadata / "RECORD"
    if not record.is_file() or not (metadata / "METADATA").is_file():
        return False
    with record.open(newline="") as handle:
        rows = [row for row in csv.reader(handle) if row and not row[0].endswith(".pyc")]
    return all(_matches(metadata.parent / row[0], row[2] if len(row) > 2 else "") for row in rows)


def _matches(path: Path, size: str) -> bool:
    """Tell whether `path` exists and, where a size is recorded, has it."""
    try:
        return not size or path.stat().st_size == int(size)
    except OSError:
        return False


def forget_broken(site_packages: Path) -> list[str]:
    """Remove the metadata of every distribution that is not whole; return their names."""
    broken = [folder for folder in sorted(site_packages.glob("*.dist-info")) if not is_whole(folder)]
    for folder in [*broken, *site_packages.glob("~*")]:  # pip's own leftovers start with a tilde
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name.removesuffix(".dist-info") for folder in broken]
