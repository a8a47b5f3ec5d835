from collections.abc import Iterator

import pytest

from tests.fixtures.backups import bucket_server


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    with bucket_server() as address:
        yield address
