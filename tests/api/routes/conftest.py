import itertools
from collections.abc import AsyncIterator

import pytest

from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import Application, application
from tests.fixtures.indexed import MINILM
from tests.fixtures.placed import placed

_numbers = itertools.count()


@pytest.fixture(scope="session")
async def app(postgres: EmbeddedPostgres) -> AsyncIterator[Application]:
    async with application(postgres) as made:
        yield made


@pytest.fixture(scope="session")
async def knowing(postgres: EmbeddedPostgres) -> AsyncIterator[Application]:
    """With an embedding model."""
    async with application(postgres) as made, placed(made.services, MINILM):
        yield made


@pytest.fixture
def fresh() -> str:
    """A name that nobody has yet, nor will have with digits behind it."""
    return f"person{next(_numbers)}x"
