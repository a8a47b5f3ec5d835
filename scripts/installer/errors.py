"""What stops an install, and what a person does about it."""

import re
from dataclasses import dataclass


class InstallFailed(Exception):
    """A step that cannot go on; its text says what to do."""


class NoSuchWheel(InstallFailed):
    """The index answers, and has no wheel that fits."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One recognised reason for a failed pip run."""

    sign: re.Pattern[str]
    advice: str
    passing: bool = False  # a later try may succeed
    error: type[InstallFailed] = InstallFailed


CAUSES = (
    Cause(
        re.compile(r"No space left on device|Errno 28|Disk quota exceeded", re.I),
        "The disk is full. The sets need about {need_gb} GB where .venv lies, and pip unpacks in TMPDIR ({tmp}): free\n"
        "some space, or set TMPDIR to a larger folder.",
    ),
    Cause(
        re.compile(r"DO NOT MATCH THE HASHES", re.I),
        "A file is not the one the lock names. A broken download: `.venv/bin/pip cache purge`, then run again.\n"
        "Your own build of torch: check where it comes from, then allow it with TORCH_SHA256=<what pip calls 'Got'>.",
    ),
    Cause(
        re.compile(
            r"name resolution|Connection(?:Error|ResetError| refused| reset| broken| aborted)|timed? ?out|SSLError"
            r"|ProxyError|IncompleteRead|Failed to establish|Network is unreachable|HTTP error 5\d\d",
            re.I,
        ),
        "The package index could not be reached. Check the network, the proxy (HTTPS_PROXY) and `pip config list`.\n"
        "The next run goes on where this one stopped.",
        passing=True,
    ),
    Cause(
        re.compile(r"No matching distribution found|Could not find a version", re.I),
        "The package index has no such wheel for this machine. The sets are for Linux on x86-64 with glibc 2.31 or\n"
        "newer and Python 3.11 or 3.12; `pip config list` shows which index pip asks.",
        error=NoSuchWheel,
    ),
    Cause(
        re.compile(r"Permission denied|Errno 13", re.I),
        "A file could not be written: who owns .venv and TMPDIR ({tmp})?",
    ),
    Cause(
        re.compile(r"MemoryError|^Killed", re.M),
        "The machine ran out of memory while unpacking: stop something, run again.",
    ),
)


UNKNOWN = Cause(re.compile(""), "The reason stands above.")


def recognise(output: str) -> Cause:
    """Return the cause that pip's output shows."""
    return next((cause for cause in CAUSES if cause.sign.search(output)), UNKNOWN)
