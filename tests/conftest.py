"""Fixtures of all tests; and Ray's switches, which Ray reads once, when the first test imports it."""

import os
from pathlib import Path

from configs import switches
from configs.datadir import Layout
from tests.fixtures.data_dirs import data_root, held, layout

__all__ = ["data_root", "held", "layout"]

os.environ.update(
    {
        name: text
        for name, text in (switches.defaults({}) | switches.safety(Layout(Path("/nowhere")))).items()
        if name.startswith("RAY_") and not name.startswith(("RAY_gcs", "RAY_AUTH_TOKEN"))
    }
)
