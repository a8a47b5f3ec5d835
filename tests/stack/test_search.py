"""The search deployment on a running stack."""

import pytest

from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack


def test_its_process_holds_no_torch(stack: Stack) -> None:
    (replica,) = stack.processes("search")
    libraries = {mapping.path for mapping in replica.memory_maps()}
    assert any("faiss" in path for path in libraries)
    assert not any("libtorch" in path for path in libraries)
