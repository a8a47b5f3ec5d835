"""`manta eval retrieval` with the bundled models and a child of its own, on a few documents."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from api.cli import eval as command
from configs.errors import BadRequest, ConfigurationError
from configs.specs import Kind, ModelParams, ModelSpec

EMBEDDER = ModelSpec(model_name="e", kind=Kind.EMBEDDING, params=ModelParams(model="sentence_transformers/a"))


def test_the_table_of_rankers_and_the_report(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    arguments = ["retrieval", "--documents", "3", "--json", "--output", str(page), "--data-dir", str(tmp_path)]
    done = CliRunner().invoke(command.app, arguments)
    assert done.exit_code == 0, done.output
    found = orjson.loads(done.stdout)
    assert found["documents"] == 3
    assert found["answerable"] >= 3
    assert {"lexical", "dense", "hybrid", "hybrid, MMR 0.7"} <= {row["name"] for row in found["rankers"]}
    assert all(0 < row["ndcg@10"] <= 1 for row in found["rankers"])
    assert "<svg" in page.read_text("utf-8")


def test_models_are_named_or_the_first() -> None:
    second = EMBEDDER.model_copy(update={"model_name": "f"})
    assert command.chosen((EMBEDDER, second), Kind.EMBEDDING, None, None) is EMBEDDER
    assert command.chosen((EMBEDDER, second), Kind.EMBEDDING, "f", None) is second
    with pytest.raises(ConfigurationError, match="no embedding model called 'g'"):
        command.chosen((EMBEDDER, second), Kind.EMBEDDING, "g", None)
    with pytest.raises(ConfigurationError, match="no rerank model in"):
        command.chosen((EMBEDDER,), Kind.RERANK, None, None)


def test_sizes_that_no_store_takes_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(command.app, ["retrieval", "--overlap-tokens", "500", "--data-dir", str(tmp_path)])
    assert isinstance(done.exception, BadRequest)


def test_a_child_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"embedder": EMBEDDER.model_dump_json(), "reranker": None, "max_tokens": 800, "overlap_tokens": 400}
    with pytest.raises(ConfigurationError, match="'a' is"):
        command.evaluated(asked)
