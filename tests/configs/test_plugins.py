import sys
from pathlib import Path

import pytest

from configs import plugins
from configs.errors import ConfigurationError


def test_the_folder_is_the_registry() -> None:
    assert plugins.available("models.embedding") == ["sentence_transformers"]


def test_looking_at_a_folder_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_backends"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "good.py").write_text("raise SystemExit\ndef create(spec): ...\n")
    (package / "words.py").write_text("def parse(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert plugins.available("some_backends") == ["good"]
    assert "some_backends.good" not in sys.modules


@pytest.mark.parametrize("name", ["wire", "os", "..errors", "sentence_transformers.x", "", "../wire"])
def test_only_backends_of_the_folder_can_be_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="available: sentence_transformers"):
        plugins.load("models.embedding", name)


def test_an_unknown_package_has_no_backends() -> None:
    with pytest.raises(ConfigurationError, match="available: none"):
        plugins.load("models", "chat")
