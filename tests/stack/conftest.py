"""One stack for every test of this folder; none of them may harm it."""

from collections.abc import Iterator

import pytest

from tests.fixtures.stack import Stack, stack_in_folder


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with stack_in_folder() as made:
        made.start().wait_ready(("starter", "all-MiniLM-L6-v2"))
        yield made
