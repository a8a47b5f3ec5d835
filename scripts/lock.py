"""Refresh the lock files of `requirements/` from the `*.in` files: `python -m scripts.lock [--upgrade]`.

Without a flag every pinned version stays where it can, so a run changes only what the `*.in` files ask for. Needs `uv`
(in the dev set) and a package index; which one is the machine's business: no address is ever written into a lock.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
PYTHON = "3.11"
PLATFORM = "x86_64-manylinux_2_31"  # the oldest glibc that every wheel of the sets runs on
ADDRESS = re.compile(r"://|^\s*-(?:i|f|-extra-index-url|-index-url|-find-links|-trusted-host)\b|@\s*[/a-z]", re.M)
ENTRY = re.compile(r"^[A-Za-z0-9][\w.-]*===?[^=\s]+", re.M)
BUILD = re.compile(r"^# build ([0-9a-f]{64}) (\S+)$", re.M)
COMPILE = ["pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:"]

Lock = dict[str, str]  # name -> its whole entry: "name==version \\\n    --hash=..."


def parse(text: str) -> Lock:
    """Split a lock into its entries; comments are dropped."""
    starts = [found.start() for found in ENTRY.finditer(text)]
    blocks = [text[start:end].strip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return {block.partition("==")[0]: block for block in blocks}


def read(name: str) -> Lock:
    """Return the lock `name` as it stands, empty when it is not there yet."""
    path = REQUIREMENTS / name
    return parse(path.read_text()) if path.exists() else {}


def version(entry: str) -> str:
    """Return the pinned version of a lock entry."""
    return entry.split(maxsplit=1)[0].rpartition("=")[2]


def write(name: str, source: str, lock: Lock) -> None:
    """Write a lock file. An address in it ends the run before anything is written."""
    entries = "".join(f"{lock[key]}\n" for key in sorted(lock))
    if found := ADDRESS.search(entries):
        raise SystemExit(f"{name}: would carry the address {found.group()!r}")
    (REQUIREMENTS / name).write_text(f"# Made by scripts/lock.py from {source}. Do not edit.\n{entries}")
    print(f"{name}: {len(lock)} distributions")


def resolve(requirements: str, prefer: Lock, *flags: str) -> Lock:
    """Resolve requirement text against the index, keeping the versions of `prefer` where they fit."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit("uv is missing: `make install-dev` brings it, then `.venv/bin/python -m scripts.lock`")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.in"), Path(folder, "target.txt")
        source.write_text(requirements)
        target.write_text("".join(f"{name}=={version(entry)}\n" for name, entry in prefer.items()))
        files = [str(source), "-o", str(target), "--python-version", PYTHON, "--python-platform", PLATFORM]
        subprocess.run([uv, *COMPILE, *files, *flags], check=True)
        return parse(target.read_text())


def direct(name: str) -> str:
    """Return the text of an `*.in` file with each `-r` line replaced by the file it names."""
    text = (REQUIREMENTS / name).read_text()
    return re.sub(r"^-r (\S+)$", lambda found: direct(found.group(1)), text, flags=re.M)


def any_build(registry: str) -> str:
    """Add to the registry's torch entry the hashes of the builds that `torch.in` lists: either may be installed."""
    builds = [f"    --hash=sha256:{digest}" for digest, _ in BUILD.findall(direct("torch.in"))]
    return " \\\n".join([registry, *builds])


def add_build(wheel: Path) -> None:
    """Write a wheel's hash and file name into `torch.in`."""
    with wheel.open("rb") as handle:
        line = f"# build {hashlib.file_digest(handle, 'sha256').hexdigest()} {wheel.name}\n"
    text = direct("torch.in")
    if line not in text:
        (REQUIREMENTS / "torch.in").write_text(text.replace("\ntorch==", f"\n{line}torch==", 1))


def only(lock: Lock, names: set[str]) -> Lock:
    """Return the entries of `lock` whose name is in `names`."""
    return {name: entry for name, entry in lock.items() if name in names}


def beside(dev: Lock, cpu: Lock, gpu: Lock) -> Lock:
    """Return what the dev set adds to both product sets; a version that would move theirs ends the run."""
    moved = [name for name in dev for base in (cpu, gpu) if name in base and version(base[name]) != version(dev[name])]
    if moved:
        raise SystemExit(f"dev.txt would move {sorted(set(moved))}, which the product runs on: bound them in dev.in")
    return only(dev, dev.keys() - (cpu.keys() & gpu.keys()))


def refresh(prefer: Lock, flags: list[str]) -> None:
    """Resolve and write every lock file.

    The GPU set is resolved together with torch, then split: what torch itself needs goes to `torch-cuda.txt`, so that a
    machine without a GPU, whose index has only the CUDA build of torch, gets those same versions.
    """
    asked = direct("torch.in")
    excludes = ["--excludes", str(REQUIREMENTS / "excluded.txt")]
    cpu = resolve(direct("cpu.in"), read("cpu.txt") or prefer, *flags, *excludes)
    gpu = resolve(direct("gpu.in") + asked, read("gpu.txt") | read("torch-cuda.txt") or cpu, *flags)
    torch = resolve(asked, gpu)
    cuda = only(torch, torch.keys() - cpu.keys())
    dev = beside(resolve(direct("dev.in"), cpu | read("dev.txt"), *flags), cpu, gpu)
    write("cpu.txt", "cpu.in", cpu)
    write("gpu.txt", "gpu.in", only(gpu, gpu.keys() - cuda.keys()))
    write("dev.txt", "dev.in", dev)
    write("torch.txt", "torch.in", {"torch": any_build(torch["torch"])})
    # `===` because a local build such as 2.13.0+cpu satisfies `==2.13.0`, and pip prefers it.
    write("torch-cuda.txt", "torch.in", cuda | {"torch": torch["torch"].replace("==", "===", 1)})


def main() -> None:
    """Read the flags and refresh the locks."""
    parser = argparse.ArgumentParser(description="Refresh the lock files of requirements/ from the *.in files.")
    flag = parser.add_argument
    flag("--upgrade", action="store_true", help="take the newest versions that fit")
    flag("--upgrade-package", action="append", default=[], metavar="NAME", help="take the newest version of NAME only")
    flag("--prefer", type=Path, metavar="FILE", help="a name==version list to start from when there is no lock yet")
    flag("--torch-wheel", type=Path, action="append", default=[], metavar="FILE", help="a build of torch to allow")
    options = parser.parse_args()
    for wheel in options.torch_wheel:
        add_build(wheel)
    flags = ["--upgrade"] if options.upgrade else []
    for name in options.upgrade_package:
        flags += ["--upgrade-package", name]
    refresh(parse(options.prefer.read_text()) if options.prefer else {}, flags)


if __name__ == "__main__":
    main()
