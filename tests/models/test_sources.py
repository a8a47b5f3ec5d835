import json
from pathlib import Path

import pytest

from configs.errors import ConfigurationError
from models import sources

LIBRARY = "sentence_transformers"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer"}]))
    return tmp_path


def test_the_bundled_model_needs_no_network() -> None:
    assert (sources.folder("all-MiniLM-L6-v2", LIBRARY) / "model.safetensors").is_file()


def test_folders_absolute_and_relative(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources.folder(str(model), LIBRARY) == model
    monkeypatch.chdir(model.parent)
    assert sources.folder(model.name, LIBRARY) == model


@pytest.mark.parametrize("source", ["/no/such/folder", "./none", "../none", "~/no-such-folder"])
def test_a_folder_that_is_missing_is_not_asked_of_the_hub(source: str) -> None:
    with pytest.raises(ConfigurationError, match="no model folder"):
        sources.folder(source, LIBRARY)


@pytest.mark.parametrize("source", ["a/b/c", "owner/na me", "x" * 200])
def test_what_is_no_hub_id_is_said(source: str) -> None:
    with pytest.raises(ConfigurationError, match="neither a folder nor a hub id"):
        sources.folder(source, LIBRARY)


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="could not be fetched"):
        sources.folder("example/model", LIBRARY)


@pytest.mark.parametrize("kind", ["os.system", "sentence_transformers_evil.X", "custom.Model", None])
def test_a_model_may_not_name_other_classes(model: Path, kind: str | None) -> None:
    (model / "modules.json").write_text(json.dumps([{"type": kind}]))
    with pytest.raises(ConfigurationError, match="only classes of sentence_transformers"):
        sources.folder(str(model), LIBRARY)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "2_Dense/weights.pt"])
def test_pickled_weights_are_refused(model: Path, file: str) -> None:
    (model / "model.safetensors").unlink()
    (model / file).parent.mkdir(exist_ok=True)
    (model / file).write_bytes(b"")
    with pytest.raises(ConfigurationError, match="is a pickle"):
        sources.folder(str(model), LIBRARY)


def test_a_pickle_beside_safetensors_is_never_read_and_so_is_harmless(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"")
    assert sources.folder(str(model), LIBRARY) == model
