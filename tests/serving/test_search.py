"""Why search has one replica, and that nobody can ask for more."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from configs.specs import SearchSpec
from retrieval.index.protocol import Shape
from retrieval.index.store import Store
from serving.search import MAX_REPLICAS


def test_a_second_replica_would_not_see_the_changes_of_the_first(tmp_path: Path) -> None:
    one = Store.create(tmp_path / "store", Shape(2))
    other = Store.open(tmp_path / "store")
    one.add([1], np.ones((1, 2)))
    assert one.search([[1, 1]], 1).ids.tolist() == [[1]]
    assert other.search([[1, 1]], 1).ids.tolist() == [[-1]]
    one.close()
    other.close()


def test_more_than_one_is_refused() -> None:
    assert MAX_REPLICAS == SearchSpec().max_replicas == 1
    with pytest.raises(ValidationError):
        SearchSpec.model_validate({"max_replicas": 2})
