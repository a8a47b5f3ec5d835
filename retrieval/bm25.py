"""Lexical scores: BM25 over postings that grow, exact after every change. It knows no text, filter or file.

The variant of Lucene: idf = ln(1 + (N - n + 0.5) / (n + 0.5)), times tf / (tf + k1 (1 - b + b length / mean length)),
so a term gives less than its idf. Counts are those of the living documents of all lexicons together, so an answer is
the same however the documents came to be spread. (`bm25s` works these weights out when it indexes, so a change of the
counts would ask for a new index: that is why it is not used.)
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from retrieval.filters import Mask
from retrieval.index.protocol import Vectors

K1 = 1.2
B = 0.75

SPARSE = 16
"""Sorting a posting costs about as much as walking over so many documents."""

TERM_BYTES = 400
"""What a term takes as Python keeps it: its text, two arrays, and a place in a dict."""

Numbers = npt.NDArray[np.int32]
Posting = tuple["array[int]", "array[int]"]


class Lexicon:
    """Which documents hold a term, and how often. Documents are numbered as they come."""

    def __init__(self) -> None:
        self.lengths = array("i")
        self.postings: dict[str, Posting] = {}
        self._held = 0
        """Postings of all terms."""

    def add(self, terms: Iterable[str]) -> int:
        """Enter one document; its number."""
        number, counts = len(self.lengths), Counter(terms)
        for term, count in counts.items():
            documents, often = self.postings.setdefault(term, (array("i"), array("i")))
            documents.append(number)
            often.append(count)
        self._held += len(counts)
        self.lengths.append(counts.total())
        return number

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory, about."""
        return 4 * len(self.lengths) + TERM_BYTES * len(self.postings) + 8 * self._held

    def holding(self, term: str) -> tuple[Numbers, Numbers]:
        """Numbers of the documents with this term, each once, and how often they hold it; copies."""
        documents, often = self.postings.get(term, (array("i"), array("i")))
        return np.array(documents, np.int32), np.array(often, np.int32)

    def state(self) -> dict[str, bytes]:
        """The whole content, by name."""
        counts = array("i", (len(documents) for documents, _ in self.postings.values()))
        return {
            "lengths": self.lengths.tobytes(),
            "terms": "\n".join(self.postings).encode("utf-8", "surrogatepass"),
            "counts": counts.tobytes(),
            "documents": b"".join(documents.tobytes() for documents, _ in self.postings.values()),
            "often": b"".join(often.tobytes() for _, often in self.postings.values()),
        }

    @classmethod
    def restored(cls, state: Mapping[str, bytes]) -> Self:
        """What `state` gave."""
        lexicon, terms, start = cls(), state["terms"].decode("utf-8", "surrogatepass").split("\n"), 0
        lexicon.lengths = array("i", state["lengths"])
        counts = array("i", state["counts"])
        lexicon._held = sum(counts)
        for term, count in zip(terms if counts else [], counts, strict=True):
            end = start + 4 * count
            lexicon.postings[term] = array("i", state["documents"][start:end]), array("i", state["often"][start:end])
            start = end
        return lexicon

    @classmethod
    def merged(cls, lexicons: Sequence["Lexicon"], moved: Sequence[Numbers]) -> Self:
        """One of many: `moved` holds each document's new number, -1 for one that goes. New numbers leave no gap."""
        merged = cls()
        merged.lengths = array("i", bytes(4 * sum(int((each >= 0).sum()) for each in moved)))
        target = np.frombuffer(merged.lengths, np.int32)
        for lexicon, places in zip(lexicons, moved, strict=True):
            target[places[places >= 0]] = np.array(lexicon.lengths, np.int32)[places >= 0]
        for term in dict.fromkeys(term for lexicon in lexicons for term in lexicon.postings):
            merged._take(
                term, [(lexicon.holding(term), places) for lexicon, places in zip(lexicons, moved, strict=True)]
            )
        return merged

    def _take(self, term: str, found: list[tuple[tuple[Numbers, Numbers], Numbers]]) -> None:
        documents = np.concatenate([places[holders] for (holders, _), places in found])
        often = np.concatenate([counts for (_, counts), _ in found])[documents >= 0]
        documents = documents[documents >= 0]
        self._held += len(documents)
        if len(documents):
            self.postings[term] = array("i", documents.tobytes()), array("i", often.tobytes())


@dataclass(frozen=True, slots=True)
class Living:
    """A lexicon, which of its documents count [documents], how many they are, and their terms together."""

    lexicon: Lexicon
    flags: Mask
    count: int
    terms: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What the scores of a query come from: living documents, their terms together, how many hold each of its terms."""

    living: int
    terms: int
    holders: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Terms of a document."""
        return max(self.terms / max(self.living, 1), 1e-9)

    def weights(self, query: Sequence[str]) -> list[float]:
        """What each different term of the query gives at most, in their order."""
        often = Counter(query).values()
        return [
            weight * float(np.log1p((self.living - holding + 0.5) / (holding + 0.5)))
            for weight, holding in zip(often, self.holders, strict=True)
        ]


Scored = tuple[Numbers, Vectors]
"""Documents, rising, and the score of each."""


class Holders:
    """Living holders of terms in parts that stand still, looked up once for several queries at one moment."""

    def __init__(self, parts: Sequence[Living]) -> None:
        self.parts = parts
        self._known: dict[str, list[tuple[Numbers, Numbers]]] = {}

    def of(self, term: str) -> list[tuple[Numbers, Numbers]]:
        """For each part the documents, rising, and how often each holds the term."""
        if term not in self._known:
            self._known[term] = [_living(part, term) for part in self.parts]
        return self._known[term]


def scores(holders: Holders, terms: Sequence[str]) -> tuple[list[Scored], Counted]:
    """For each part the documents that hold a term, with their scores, and what those come from.

    Costs as much as there are postings of the terms, however many documents there are.
    """
    parts, held = holders.parts, [holders.of(term) for term in dict.fromkeys(terms)]
    counted = Counted(
        sum(part.count for part in parts),
        sum(part.terms for part in parts),
        tuple(sum(len(documents) for documents, _ in each) for each in held),
    )
    found: list[list[Scored]] = [[] for _ in parts]
    for idf, each in zip(counted.weights(terms), held, strict=True):
        for part, (documents, often), into in zip(parts, each, found, strict=True):
            lengths = np.frombuffer(part.lexicon.lengths, np.int32)[documents] if len(documents) else documents
            into.append((documents, _gained(idf, often, lengths, counted.mean)))
    return [_summed(each, len(part.flags)) for part, each in zip(parts, found, strict=True)], counted


def often(lexicon: Lexicon, terms: Sequence[str], documents: Numbers) -> Numbers:
    """How often those documents [n], rising, hold each different term [t]: [n, t]."""
    different = list(dict.fromkeys(terms))
    found = np.zeros((len(documents), len(different)), np.int32)
    for column, term in enumerate(different):
        holders, counts = lexicon.holding(term)
        here = np.isin(holders, documents)
        found[np.searchsorted(documents, holders[here]), column] = counts[here]
    return found


def scores_of(counted: Counted, terms: Sequence[str], held: Numbers, lengths: Numbers) -> Vectors:
    """The scores [n] of documents that hold the different terms so often [n, t] and are so long [n]."""
    total = np.zeros(len(lengths), np.float32)
    for column, idf in enumerate(counted.weights(terms)):
        total += _gained(idf, held[:, column], lengths, counted.mean)
    return total


def _gained(idf: float, often: Numbers, lengths: Numbers, mean: float) -> Vectors:
    """In place, as there may be many."""
    counts: Vectors = often.astype(np.float32)
    norms: Vectors = lengths.astype(np.float32)
    norms *= np.float32(K1 * B / mean)
    norms += np.float32(K1 * (1 - B))
    norms += counts
    counts *= np.float32(idf)
    counts /= norms
    return counts


def _living(part: Living, term: str) -> tuple[Numbers, Numbers]:
    documents, often = part.lexicon.holding(term)
    if part.count == len(part.flags):
        return documents, often
    kept = part.flags[documents]
    return documents[kept], often[kept]


def _summed(found: Sequence[Scored], size: int) -> Scored:
    """One sum per document of a part with `size` of them: by walking over all where postings are many, else sorted."""
    if not found:
        return np.empty(0, np.int32), np.empty(0, np.float32)
    if SPARSE * sum(len(documents) for documents, _ in found) > size:
        return _walked(found, size)
    documents, places = np.unique(np.concatenate([each[0] for each in found]), return_inverse=True)
    summed = np.bincount(places, np.concatenate([each[1] for each in found]), len(documents))
    return documents.astype(np.int32), summed.astype(np.float32)


def _walked(found: Sequence[Scored], size: int) -> Scored:
    totals = np.zeros(size, np.float32)
    for documents, gained in found:
        totals[documents] += gained
    held = np.flatnonzero(totals)  # whoever holds a term gains by it
    return held.astype(np.int32), totals[held]
