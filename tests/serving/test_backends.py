import sys

import pytest

from configs.errors import ConfigurationError
from configs.specs import Kind, ModelParams, ModelSpec
from serving.backends import BACKENDS, FOLDERS, check


def spec(kind: Kind, backend: str) -> ModelSpec:
    return ModelSpec(model_name="m", kind=kind, params=ModelParams(model=f"{backend}/source"))


@pytest.mark.parametrize(
    ("kind", "backend"),
    [(Kind.CHAT, "vllm"), (Kind.EMBEDDING, "sentence_transformers"), (Kind.RERANK, "sentence_transformers")],
)
def test_a_backend_is_found_without_its_library(kind: Kind, backend: str) -> None:
    before = set(sys.modules)
    check(spec(kind, backend))
    assert not {"vllm", "sentence_transformers", "torch"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    ("kind", "backend", "known"),
    [
        (Kind.CHAT, "sentence_transformers", "vllm"),
        (Kind.EMBEDDING, "vllm", "sentence_transformers"),
        (Kind.RERANK, "protocol", "sentence_transformers"),
        (Kind.CHAT, "../rerank", "vllm"),
        (Kind.CHAT, "os", "vllm"),
    ],
)
def test_an_unknown_backend_is_named_with_those_there_are(kind: Kind, backend: str, known: str) -> None:
    if "/" in backend:
        backend = backend.partition("/")[0]
    with pytest.raises(ConfigurationError, match=f"no {kind.value} backend '{backend}'; there are: .*{known}"):
        check(spec(kind, backend))


def test_every_kind_has_a_folder_and_a_way_to_load() -> None:
    assert set(FOLDERS) == set(BACKENDS) == set(Kind)
