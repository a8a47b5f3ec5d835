"""What parts found, made into hits: rankings, their fusion, the threshold, and results that differ."""

from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np

from retrieval import bm25, fusion
from retrieval.bm25 import Scored
from retrieval.index.protocol import Vectors
from retrieval.part import Part
from retrieval.query import Candidates, Evidence, Found, Hit, Spot, by_vector, by_words

Ranked = list[tuple[Hit, Spot]]


def answer(found: Found, parts: Sequence[Part]) -> list[Hit]:
    """At most k hits, best first; for `candidates` all that the rankings bring (`Candidates`)."""
    rankings, weights = _rankings(found)
    if found.query.candidates:
        return _candidates({place for ranking in rankings for place in ranking}, found, parts)
    query, fused = found.query, fusion.fuse(rankings, weights) if rankings else {}
    made = ((_hit(place, score, found, parts), place) for place, score in fused.items())
    relevant = (pair for pair in made if pair[0].score >= query.threshold)
    if query.mmr_lambda is None:
        return [hit for hit, _ in islice(relevant, query.k)]
    hits = list(relevant)
    if not hits:
        return []
    nearest = np.stack([_nearest(place, found.vector, parts) for _, place in hits])
    places = fusion.diversify([hit.score for hit, _ in hits], nearest, query.k, query.mmr_lambda)
    return [hits[place][0] for place in places]


def _rankings(found: Found) -> tuple[list[list[Spot]], list[float]]:
    query, rankings, weights = found.query, [], []
    if by_vector(query):
        rankings.append(sorted(found.dense, key=lambda place: -found.dense[place])[: found.depth])
        weights.append(query.weights[0])
    if found.lexical and by_words(query):
        rankings.append(_lexical(found.lexical, found.depth))
        weights.append(query.weights[1])
    return rankings, weights


def _hit(place: Spot, fused: float, found: Found, parts: Sequence[Part]) -> Hit:
    dense, lexical = _scores(place, found, parts)
    number, chunk = place
    chunk_id = parts[number].chunk_ids[chunk]
    return Hit(chunk_id, min(fused, 1.0), min(max(dense, 0.0), 1.0), min(lexical, 1.0))


def _candidates(places: Collection[Spot], found: Found, parts: Sequence[Part]) -> Candidates:
    """In the order of their parts and places."""
    query, spots = found.query, sorted(places)
    held, lengths = [], []
    for number, part in enumerate(parts):
        chunks = np.array([chunk for which, chunk in spots if which == number], np.int32)
        held.append(bm25.often(part.lexicon, query.terms, chunks))
        lengths += [part.lexicon.lengths[chunk] for chunk in chunks]
    nearest = None
    if query.mmr_lambda is not None and spots:
        nearest = np.stack([_nearest(spot, found.vector, parts) for spot in spots])
    evidence = Evidence(np.concatenate(held), np.array(lengths, np.int32), found.counted, nearest)
    hits = (Hit(parts[spot[0]].chunk_ids[spot[1]], 0.0, *_scores(spot, found, parts)) for spot in spots)
    return Candidates(hits, evidence)


def _scores(place: Spot, found: Found, parts: Sequence[Part]) -> tuple[float, float]:
    (number, chunk), vector = place, found.vector
    dense = found.dense.get(place, 0.0)
    if vector is not None and place not in found.dense:
        dense = float((parts[number].vectors_of(chunk) @ vector).max())
    return dense, _score_of(found.lexical[number], chunk) if found.lexical else 0.0


def _nearest(place: Spot, vector: Vectors | None, parts: Sequence[Part]) -> Vectors:
    """The window that answers best, or the first where there is no vector."""
    windows = parts[place[0]].vectors_of(place[1])
    nearest: Vectors = windows[0 if vector is None else int((windows @ vector).argmax())]
    return nearest


def _lexical(parts: Sequence[Scored], depth: int) -> list[Spot]:
    pairs = []
    for number, (documents, scores) in enumerate(parts):
        best = np.argpartition(-scores, depth)[:depth] if len(scores) > depth else np.arange(len(scores))
        pairs += [(float(scores[place]), (number, int(documents[place]))) for place in best]
    return [place for _, place in sorted(pairs, key=lambda pair: -pair[0])[:depth]]


def _score_of(part: Scored, chunk: int) -> float:
    documents, scores = part
    place = int(np.searchsorted(documents, chunk))
    return float(scores[place]) if place < len(documents) and documents[place] == chunk else 0.0
