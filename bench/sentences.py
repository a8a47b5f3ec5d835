"""Vectors for benches of indexes: real ones of installed text, and more of them between neighbours.

Run as: a module that other benches import. The texts are sentences of docstrings (`finetune.reranker.passages`),
embedded by all-MiniLM-L6-v2; what was embedded once is kept in the folder for temporary files. More vectors than
there are real ones lie between a real one and one of its nearest neighbours, at a random place of the way, scaled to
length 1: so they are as near to each other, and gather in the same regions, as texts do.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np

from configs import plugins
from configs.specs import Kind, ModelParams, ModelSpec
from finetune.reranker.passages import passages
from finetune.reranker.questions import SENTENCE, plain
from models.embedding.bulk import encode_all
from models.embedding.protocol import Embedder
from retrieval.index.protocol import Vectors

MODEL = "sentence_transformers/all-MiniLM-L6-v2"
PER_PACKAGE = 1_200
MOST_TOKENS = 32
"""Of a sentence; a longer one is cut."""
FEWEST_WORDS = 4
NEIGHBOURS = 8
WAVE = 4_096


def embedder() -> Embedder:
    """MiniLM, warm."""
    spec = ModelSpec(model_name="all-MiniLM-L6-v2", kind=Kind.EMBEDDING, params=ModelParams(model=MODEL))
    made: Embedder = plugins.load("models.embedding", spec.params.backend)(spec)
    made.warm_up()
    return made


def sentences() -> Iterator[str]:
    """Different ones, in the order of packages and files."""
    seen: set[str] = set()
    for passage in passages((), PER_PACKAGE):
        for part in SENTENCE.split(passage.text):
            text = plain(part or "")
            if len(text.split()) >= FEWEST_WORDS and text not in seen:
                seen.add(text)
                yield text


def real(count: int) -> Vectors:
    """Vectors [count or fewer, 384] of length 1, of sentences from all over the text."""
    texts = list(sentences())
    chosen = np.random.default_rng(0).permutation(len(texts))[:count]
    texts = [texts[place] for place in chosen]
    name = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"manta-bench-{name}.npy"
    if kept.is_file():
        loaded: Vectors = np.load(kept)
        return loaded
    model = embedder()
    parts = []
    for first in range(0, len(texts), WAVE):
        ids = model.tokenize(texts[first : first + WAVE], MOST_TOKENS)
        parts.append(encode_all(model, ids))
        print(f"embedded {first + len(ids):,} of {len(texts):,} sentences", flush=True)
    vectors = np.concatenate(parts)
    np.save(kept, vectors)
    return vectors


def extended(vectors: Vectors, count: int) -> Vectors:
    """The first `count`, or all of them and as many between neighbours as are missing."""
    if count <= len(vectors):
        return vectors[:count]
    choose = np.random.default_rng(1)
    ends = choose.integers(0, len(vectors), count - len(vectors))
    beside = neighbours(vectors)[ends, choose.integers(0, NEIGHBOURS, len(ends))]
    whole = np.empty((count, vectors.shape[1]), np.float32)
    whole[: len(vectors)] = vectors
    for first in range(0, len(ends), WAVE):
        share = choose.random((len(ends[first : first + WAVE]), 1), dtype=np.float32)
        between = (1 - share) * vectors[ends[first : first + WAVE]] + share * vectors[beside[first : first + WAVE]]
        at = len(vectors) + first
        whole[at : at + len(between)] = between / np.linalg.norm(between, axis=1, keepdims=True)
    return whole


def neighbours(vectors: Vectors) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Places [n, NEIGHBOURS] of the nearest other vectors, by groups: a few may be missed."""
    groups = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], 256, faiss.METRIC_INNER_PRODUCT)
    groups.train(vectors[:: max(1, len(vectors) // 20_000)])
    groups.add(vectors)
    groups.nprobe = 8
    found = groups.search(vectors, NEIGHBOURS + 1)[1][:, 1:]
    return np.where(found < 0, np.arange(len(vectors))[:, None], found).astype(np.int64)
