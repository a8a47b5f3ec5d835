from collections.abc import Iterator

import pytest

from api.cli.installation import Installation
from api.cli.stored import StoredKeys, StoredModels
from configs.specs import ModelSpec
from tests.fixtures.data_dirs import held_layout, open_folder


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """A data directory that nobody holds."""
    with open_folder() as root:
        config = root / "manta.yaml"
        config.write_text("model_list: []\n")
        yield Installation(config, root / "data")
        with held_layout(root / "data"):
            pass


def spec(name: str) -> ModelSpec:
    return ModelSpec.model_validate({"model_name": name, "params": {"model": f"vllm/{name}"}})


def test_a_directory_without_a_database_is_not_given_one_by_looking(installation: Installation) -> None:
    keys, models = StoredKeys(installation), StoredModels(installation)
    assert keys.listed() == []
    assert not keys.revoke("key_1")
    assert models.added() == []
    assert not models.remove_added("m")
    assert not installation.layout.postgres.exists()


def test_keys_are_kept_while_nothing_runs(installation: Installation) -> None:
    keys = StoredKeys(installation)
    made = keys.create({"name": "laptop", "permissions": ["inference"], "expires_in_s": 3600})
    assert made["key"].startswith(made["prefix"])
    listed = keys.listed()
    assert [(row["id"], row["name"], "key" in row) for row in listed] == [(made["id"], "laptop", False)]
    assert keys.revoke(made["id"])
    assert not keys.revoke(made["id"])
    assert keys.listed() == []


def test_models_are_kept_while_nothing_runs(installation: Installation) -> None:
    models = StoredModels(installation)
    assert models.add(spec("m"))
    assert not models.add(spec("m"))
    assert models.added() == [spec("m")]
    assert models.remove_added("m")
    assert models.added() == []
