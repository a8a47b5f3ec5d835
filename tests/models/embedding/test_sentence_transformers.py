import threading
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ConfigurationError
from models.embedding.protocol import InputType
from models.embedding.sentence_transformers import create
from tests.fixtures.encoders import embedder, library, save_tiny_embedder, spec

TEXTS = [
    "",
    " ",
    "a",
    "Rays glide.",
    "Zoë said: “naïve café” 🦈",
    "日本語のテキスト",
    "long " * 200,
    "tab\tand\nline",
    "x" * 500,
]


def test_vectors_are_the_librarys_own_alone_and_in_mixed_batches() -> None:
    ours, theirs = embedder(), library().encode(TEXTS)
    tokens = ours.tokenize(TEXTS, ours.max_tokens)
    np.testing.assert_allclose(ours.encode(tokens), theirs, atol=1e-5)
    for one, expected in zip(tokens, theirs, strict=True):
        np.testing.assert_allclose(ours.encode([one])[0], expected, atol=1e-5)


@pytest.mark.parametrize("word", ["[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]"])
def test_text_that_spells_a_special_token_is_text(word: str) -> None:
    ours = embedder()
    special = library().tokenizer.convert_tokens_to_ids(word)
    assert special in library().tokenizer(f"a {word} b")["input_ids"][1:-1]
    assert special not in ours.tokenize([f"a {word} b"])[0][1:-1]


def test_cutting_keeps_the_special_tokens() -> None:
    whole, cut = embedder().tokenize(["one two three four"])[0], embedder().tokenize(["one two three four"], 4)[0]
    assert cut == [*whole[:3], whole[-1]]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
@pytest.mark.parametrize("normalize", [True, False])
def test_padding_side_pooling_and_normalisation_are_the_models(
    tmp_path: Path, side: str, pooling: str, *, normalize: bool
) -> None:
    path = save_tiny_embedder(tmp_path, padding_side=side, pooling=pooling)
    ours = create(spec(path, normalize=normalize))
    ours.warm_up()
    texts = ["a", "some words", "quite a few more words than that"]
    theirs = type(library())(str(path), device="cpu").encode(texts, normalize_embeddings=normalize)
    np.testing.assert_allclose(ours.encode(ours.tokenize(texts)), theirs, atol=1e-5)
    assert ours.normalized is normalize
    assert (ours.dimensions, ours.max_tokens) == (32, 48)


def test_prefixes_come_from_the_model_and_the_configuration(tmp_path: Path) -> None:
    path = save_tiny_embedder(tmp_path, prompts={"query": "ask: ", "plain": "p: "}, default_prompt_name="plain")
    ours = create(spec(path, document_prefix="doc: "))
    ours.warm_up()
    assert [ours.prefix(kind) for kind in (None, InputType.QUERY, InputType.DOCUMENT)] == ["p: ", "ask: ", "doc: "]


def test_a_relative_folder_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny_embedder(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert create(spec("./model")).dimensions == 32


def test_a_model_that_prepares_its_inputs_otherwise_is_refused(tmp_path: Path) -> None:
    path = save_tiny_embedder(tmp_path)
    ours = create(spec(path))
    ours._tokenizer.normalizer = None  # type: ignore[attr-defined]  # as if the library did a step more than we
    with pytest.raises(ConfigurationError, match="in a way that this backend does not know"):
        ours.warm_up()


def test_a_model_that_skips_its_prompt_is_refused_with_a_prefix_only(tmp_path: Path) -> None:
    path = save_tiny_embedder(tmp_path)
    config = path / "1_Pooling" / "config.json"
    config.write_text(config.read_text().replace('"include_prompt": true', '"include_prompt": false'))
    assert '"include_prompt": false' in config.read_text()
    create(spec(path)).warm_up()
    with pytest.raises(ConfigurationError, match="prompts"):
        create(spec(path, query_prefix="query: "))


def test_half_precision_is_close(tmp_path: Path) -> None:
    path = save_tiny_embedder(tmp_path)
    texts = ["some words", "others"]
    exact, half = (create(spec(path, dtype=dtype)) for dtype in ("float32", "bfloat16"))
    half.warm_up()
    np.testing.assert_allclose(half.encode(half.tokenize(texts)), exact.encode(exact.tokenize(texts)), atol=3e-2)


def test_threads_are_set_for_the_thread_that_computes(tmp_path: Path) -> None:
    import torch

    path = save_tiny_embedder(tmp_path)
    before = torch.get_num_threads()
    try:
        create(spec(path, threads=1))
        seen: list[int] = []
        worker = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        worker.start()
        worker.join()
        assert seen == [1]
    finally:
        torch.set_num_threads(before)


def test_a_gpu_that_is_not_there_is_said() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(ConfigurationError, match="torch sees no GPU"):
        create(spec("all-MiniLM-L6-v2", device="cuda"))
