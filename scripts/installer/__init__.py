"""The parts of `scripts/install.py`. Standard library only: they run before anything is installed."""

import sys

# This file must parse on any Python 3, so that an old one gets this sentence and no syntax error.
if not (3, 11) <= sys.version_info[:2] < (3, 13):
    found = "{}.{}".format(*sys.version_info[:2])
    raise SystemExit(
        "Manta needs Python 3.11 or 3.12; this is " + found + " (" + sys.executable + ").\n"
        "  Debian 12, Ubuntu 24.04:  apt-get install python3 python3-venv\n"
        "  Ubuntu 22.04:             apt-get install python3.11 python3.11-venv\n"
        "  Fedora, RHEL 9:           dnf install python3.11\n"
        "  anywhere:                 pyenv install 3.11, or uv python install 3.11\n"
        "Then run: make install PYTHON=python3.11"
    )
