from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from api.control.jobs import Jobs
from configs.postgres import EmbeddedPostgres
from tests.api.routes.conftest import app, fresh
from tests.fixtures.application import Application

__all__ = ["app", "fresh"]


@pytest.fixture
async def jobs(app: Application, postgres: EmbeddedPostgres) -> AsyncIterator[Jobs]:
    cluster = app.services.cluster.model_copy(update={"jobs_url": SecretStr(postgres.urls.jobs_url)})
    made = Jobs(cluster)
    yield made
    await made.close()
