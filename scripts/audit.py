"""Look for known holes and forgotten secrets: `python -m scripts.audit [--strict] [--only ...]`, or `make audit`.

bandit reads our code, pip-audit asks the advisory service about every locked version, detect-secrets reads every
tracked file. Without a network the second is not done, and said to be not done; `--strict` takes that for a failure.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("agent", "api", "configs", "finetune", "models", "retrieval", "scripts", "serving")
REQUIREMENTS = ROOT / "requirements"
SETS = {"cpu and dev": ("cpu.txt", "torch.txt", "dev.txt"), "gpu": ("gpu.txt", "torch-cuda.txt")}
ENTRY = re.compile(r"^([\w.-]+)={2,3}([^=\s]+)", re.M)
BASELINE = ".secrets.baseline"
UNREACHABLE = re.compile(
    r"ConnectionError|Failed to connect|Max retries exceeded|ServiceError|Name or service not known|timed? ?out"
    r"|ProxyError|SSLError|HTTPError",
    re.I,
)
LINES_MOVED = 3
"""detect-secrets-hook: nothing new, but the baseline's line numbers are old."""

OK, FAILED, NOT_CHECKED = "ok", "FAILED", "NOT CHECKED"


def run(*arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment in the repository's folder; its output is shown unless it is `quiet`."""
    ran = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, text=True, check=False, capture_output=quiet, stdin=None
    )
    sys.stdout.flush()
    return ran


def bandit() -> str:
    """Read our code for dangerous calls."""
    return OK if run("bandit", "-c", "pyproject.toml", "-q", "-r", "-ll", *CODE).returncode == 0 else FAILED


def advisories() -> str:
    """Ask for the known holes of every locked version."""
    words = [_advisories_of(name, *files) for name, files in SETS.items()]
    if NOT_CHECKED in words:
        print("The advisory service could not be reached or knows nothing: known holes were not looked for.")
    return max(words, key=[OK, NOT_CHECKED, FAILED].index)


def _advisories_of(name: str, *locks: str) -> str:
    """Ask for one set, its locks joined: pip-audit neither knows `===` nor takes a name twice."""
    entries = {found[1]: found[2] for lock in locks for found in ENTRY.finditer((REQUIREMENTS / lock).read_text())}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as joined:
        joined.write("".join(f"{package}=={version}\n" for package, version in entries.items()))
        joined.flush()
        ran = run("pip_audit", "--no-deps", "--disable-pip", "-f", "json", "-r", joined.name, quiet=True)
    try:
        asked = json.loads(ran.stdout)["dependencies"]
    except ValueError:
        print(f"{name}: {_end(ran.stderr)}")
        return NOT_CHECKED if UNREACHABLE.search(ran.stderr) else FAILED
    known = [package for package in asked if "skip_reason" not in package]
    holes = [f"  {each['name']} {each['version']}: {hole['id']}" for each in known for hole in each["vulns"]]
    print(f"{name}: {len(known)} of {len(entries)} distributions are known there, {len(holes)} holes", *holes, sep="\n")
    return FAILED if holes else (OK if known else NOT_CHECKED)


def secrets() -> str:
    """Read every tracked file for what looks like a secret and is not in the baseline."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        baseline = Path(folder, "baseline")  # a copy, since the hook writes into it
        baseline.write_text((ROOT / BASELINE).read_text())
        names = [name for name in listed.split("\0") if name and (ROOT / name).is_file() and name != BASELINE]
        ran = run("detect_secrets.pre_commit_hook", "--baseline", str(baseline), *names)
    if ran.returncode in (0, LINES_MOVED):
        return OK
    print("No secret at all? Then `python -m scripts.audit --accept` notes it in the baseline.")
    return FAILED


CHECKS: dict[str, Callable[[], str]] = {"bandit": bandit, "advisories": advisories, "secrets": secrets}


def _end(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-3:])


def main() -> int:
    """Run the checks; return the exit status."""
    parser = argparse.ArgumentParser(description="Look for known holes and forgotten secrets.")
    parser.add_argument("--strict", action="store_true", help="fail when known holes could not be looked for")
    parser.add_argument("--only", choices=CHECKS, action="append", help="this check only; may be given again")
    parser.add_argument("--accept", action="store_true", help="write what looks like a secret now into the baseline")
    options = parser.parse_args()
    if options.accept:
        return run("detect_secrets", "scan", "--baseline", BASELINE).returncode
    words: dict[str, str] = {}
    for name in options.only or CHECKS:
        print(f"\n[{name}] {CHECKS[name].__doc__}", flush=True)
        words[name] = CHECKS[name]()
    print("\n" + "\n".join(f"  {name:<12} {word}" for name, word in words.items()))
    failing = {FAILED, NOT_CHECKED} if options.strict else {FAILED}
    return int(any(word in failing for word in words.values()))


if __name__ == "__main__":
    sys.exit(main())
