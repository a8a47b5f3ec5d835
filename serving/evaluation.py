"""How good retrieval is here: `python -m serving.evaluation FD`, a child that loads models and needs no running stack.

The socket FD brings one question (`Asked` as JSON) and takes lines back: how far it is, and at last what was found or
why there is nothing. The set goes the way that users' files go: real files, read in a process with limits, cut, put
under their headings, embedded in windows, held in a collection. It asks no network.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import chdir, closing
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from configs import plugins
from configs.errors import MantaError
from configs.frames import Line
from configs.specs import ModelSpec
from models.embedding.bulk import encode_all
from models.embedding.protocol import Embedder, InputType, Vectors
from models.rerank.protocol import Reranker
from retrieval.chunking import Chunk, chunks
from retrieval.documents import Limits
from retrieval.evaluation import rankings
from retrieval.evaluation.corpus import Question, Source, questions, sources
from retrieval.evaluation.files import as_file
from retrieval.evaluation.rankings import Outcome, Passage, Rankings, Score
from retrieval.reading import Reader
from serving.ingest.windows import Windows

Report = Callable[[str, int, int], object]
"""What is done, how much of it, and of how much."""
WAVE_DOCUMENTS = 16
WITHIN = 20
"""Places that `answered_within` tells of."""
PAIRS = 8
"""Pairs that one pass of the reranker takes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Models as `ModelSpec` in JSON, sizes of chunks in tokens, and of how many documents (None: all)."""

    embedder: str
    reranker: str | None
    max_tokens: int
    overlap_tokens: int
    documents: int | None = None


def main() -> None:
    """Answer one question."""
    line = Line(int(sys.argv[1]))
    for question in line.received():
        try:
            with tempfile.TemporaryDirectory() as folder, chdir(folder):  # the reader's log
                found = evaluated(Asked(**question), lambda *done: line.send({"progress": done}))
        except MantaError as error:
            line.send({"error": error.message})
        else:
            line.send({"found": found})
        return


def evaluated(asked: Asked, report: Report) -> dict[str, Any]:
    """The finding, as JSON.

    Raises:
        ConfigurationError: a model cannot be loaded.
        Unavailable: the process that reads documents cannot be started.
    """
    report("loading models", 0, 1)
    embedder: Embedder = _loaded("models.embedding", asked.embedder)
    embedder.warm_up()
    reranker: Reranker | None = _loaded("models.rerank", asked.reranker) if asked.reranker else None
    documents, answerable = chosen(asked.documents)
    found = passages(documents, embedder, asked, report)
    vectors = encode_all(embedder, embedder.tokenize(_queries(embedder, answerable), embedder.max_tokens))
    ranked = Rankings(found)
    names = [rankings.LEXICAL, rankings.DENSE, rankings.HYBRID, rankings.MMR]
    names[3:3] = [rankings.RERANKED_HYBRID] if reranker else []
    outcomes = []
    for place, name in enumerate(names):
        report(f"ranking: {name}", place, len(names))
        score = scorer(reranker) if reranker else None
        outcomes.append(ranked.outcome(name, list(zip(answerable, vectors, strict=True)), score))
    return {
        "embedder": embedder.model_name,
        "reranker": reranker.model_name if reranker else None,
        "documents": len(documents),
        "chunks": len(found),
        "answerable": len(answerable),
        "max_tokens": asked.max_tokens,
        "overlap_tokens": asked.overlap_tokens,
        "rankers": [told(each) for each in outcomes],
        "questions": [_places(place, question, outcomes) for place, question in enumerate(answerable)],
    }


def chosen(count: int | None) -> tuple[list[Source], list[Question]]:
    """The documents, those that answer first where not all are wanted, and the questions that they answer."""
    found, asked = list(sources()), [question for question in questions() if question.package]
    if count is not None:
        answering = {question.package for question in asked}
        found = sorted(found, key=lambda source: source.package not in answering)[:count]
    held = {source.package for source in found}
    return found, [question for question in asked if question.package in held]


def passages(documents: Sequence[Source], embedder: Embedder, asked: Asked, report: Report) -> list[Passage]:
    """The set as a store has it."""
    found: list[Passage] = []
    windows = Windows(embedder)
    with closing(Reader()) as reader:
        for first in range(0, len(documents), WAVE_DOCUMENTS):
            report("reading and embedding documents", first, len(documents))
            wave = documents[first : first + WAVE_DOCUMENTS]
            cut = [(each.package, chunk) for each in wave for chunk in _chunks(reader, each, embedder, asked)]
            found += _embedded(cut, windows, embedder)
    return found


def scorer(reranker: Reranker) -> Score:
    """What `Rankings` asks of a reranker; pairs of like length share a pass."""

    def score(question: str, texts: Sequence[str]) -> list[float]:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        scores = [0.0] * len(texts)
        for first in range(0, len(order), PAIRS):
            places = order[first : first + PAIRS]
            for place, value in zip(places, reranker.score([(question, texts[at]) for at in places]), strict=True):
                scores[place] = float(value)
        return scores

    return score


def told(outcome: Outcome) -> dict[str, Any]:
    """One ranker's line."""
    measured = outcome.quality
    count = len(outcome.found)
    firsts = [next((place for place, hit in enumerate(found, 1) if hit), 0) for found in outcome.found]
    within = accumulate(sum(first == place for first in firsts) / count for place in range(1, WITHIN + 1))
    return {
        "name": outcome.ranker,
        **{f"recall@{k}": value for k, value in measured.recall.items()},
        "ndcg@10": measured.ndcg[10],
        "mrr": measured.mrr,
        "ms": outcome.ms,
        "answered_within": list(within),
    }


def _places(place: int, question: Question, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    firsts = {
        each.ranker: next((rank for rank, hit in enumerate(each.found[place], 1) if hit), None) for each in outcomes
    }
    return {"question": question.question, "package": question.package, "places": firsts}


def _chunks(reader: Reader, source: Source, embedder: Embedder, asked: Asked) -> Iterable[Chunk]:
    name, data = as_file(source)
    document = reader.read(data, name, Limits())
    return chunks(document, embedder.offsets, asked.max_tokens, asked.overlap_tokens)


def _embedded(cut: Sequence[tuple[str, Chunk]], windows: Windows, embedder: Embedder) -> Iterable[Passage]:
    inputs = windows.inputs([chunk for _, chunk in cut])
    vectors: Vectors = encode_all(embedder, [ids for each in inputs for ids in each])
    first = 0
    for (package, chunk), each in zip(cut, inputs, strict=True):
        yield Passage(package, chunk.text, vectors[first : first + len(each)])
        first += len(each)


def _queries(embedder: Embedder, asked: Sequence[Question]) -> list[str]:
    prefix = embedder.prefix(InputType.QUERY)
    return [prefix + question.question for question in asked]


def _loaded(folder: str, model: str) -> Any:  # noqa: ANN401  a plugin
    spec = ModelSpec.model_validate_json(model)
    return plugins.load(folder, spec.params.backend)(spec)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # native threads need no farewell
