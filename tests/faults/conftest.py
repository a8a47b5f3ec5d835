"""One stack for the tests that kill parts of it; each leaves it healed."""

from collections.abc import Iterator

import pytest

from tests.fixtures.stack import CONFIGURATION, Stack, stack_in_folder

CHAT_ONLY = CONFIGURATION.partition("  - model_name: all-MiniLM")[0]


@pytest.fixture(scope="session")
def own_stack() -> Iterator[Stack]:
    with stack_in_folder(CHAT_ONLY) as made:
        made.start().wait_ready(("starter",))
        yield made
