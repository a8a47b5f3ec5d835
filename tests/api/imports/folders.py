"""Where the examples of property tests put their files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder for one example of a property test; `tmp_path` is one for all of them."""
    with TemporaryDirectory() as name:
        yield Path(name)
