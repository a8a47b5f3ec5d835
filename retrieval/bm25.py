"""Lexical scores: BM25 over postings that grow, exact after every change. It knows no text, filter or file.

The variant of Lucene: idf = ln(1 + (N - n + 0.5) / (n + 0.5)), times tf / (tf + k1 (1 - b + b length / mean length)),
so a term gives less than its idf. Counts are those of the living documents of all lexicons together, so an answer is
the same however the documents came to be spread. (`bm25s` works these weights out when it indexes, so a change of the
counts would ask for a new index: that is why it is not used.)
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from retrieval.filters import Mask
from retrieval.index.protocol import Vectors

K1 = 1.2
B = 0.75

Numbers = npt.NDArray[np.int32]
Posting = tuple["array[int]", "array[int]"]


class Lexicon:
    """Which documents hold a term, and how often. Documents are numbered as they come."""

    def __init__(self) -> None:
        self.lengths = array("i")
        self.postings: dict[str, Posting] = {}

    def add(self, terms: Iterable[str]) -> int:
        """Enter one document; its number."""
        number, counts = len(self.lengths), Counter(terms)
        for term, count in counts.items():
            documents, often = self.postings.setdefault(term, (array("i"), array("i")))
            documents.append(number)
            often.append(count)
        self.lengths.append(counts.total())
        return number

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
        if len(documents):
            self.postings[term] = array("i", documents.tobytes()), array("i", often.tobytes())


def scores(lexicons: Sequence[Lexicon], alive: Sequence[Mask], terms: Sequence[str]) -> tuple[list[Vectors], float]:
    """For each lexicon the scores [documents] of a query, and what a document could reach at most.

    A document that is not alive has 0, as has one without a term.
    """
    found = [np.zeros(len(lexicon.lengths), np.float32) for lexicon in lexicons]
    lengths = [np.array(lexicon.lengths, np.float32) for lexicon in lexicons]
    living = sum(int(mask.sum()) for mask in alive)
    total = sum(float(each[mask].sum()) for each, mask in zip(lengths, alive, strict=True))
    norms = [K1 * (1 - B + B * each / max(total / max(living, 1), 1e-9)) for each in lengths]
    most = 0.0
    for term, weight in Counter(terms).items():
        holders = [_living(lexicon, mask, term) for lexicon, mask in zip(lexicons, alive, strict=True)]
        with_term = sum(len(documents) for documents, _ in holders)
        idf = weight * float(np.log1p((living - with_term + 0.5) / (with_term + 0.5)))
        most += idf
        for (documents, often), into, norm in zip(holders, found, norms, strict=True):
            into[documents] += idf * often / (often + norm[documents])
    return found, most


def _living(lexicon: Lexicon, alive: Mask, term: str) -> tuple[Numbers, Numbers]:
    documents, often = lexicon.holding(term)
    kept = alive[documents]
    return documents[kept], often[kept]
