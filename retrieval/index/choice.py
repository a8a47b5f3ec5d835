"""Which index holds vectors best: a pure function of their number, their dimensions and the memory allowed.

| vectors | index | bytes per vector of d dimensions | what it costs |
|---|---|---|---|
| up to EXACT_ROWS, where 4 d bytes each are allowed | flat | 4 d | exact, time grows with the number |
| more, or less memory | quantized | d + d / 12 + 28 | a few in a thousand missed, training beside searches |

Quantized is three steps: the nearest `probes` of `lists` groups (IVF), a scan of 4-bit codes in them (PQ fast scan;
Andre, Kermarrec and Le Scouarnec, arXiv:1812.09162), and the best of those compared by 8-bit numbers.
"""

import math
from dataclasses import dataclass

from retrieval.index.protocol import Place

EXACT_ROWS = 20_000
"""Up to here a flat search takes about a millisecond on one core at 384 dimensions."""
LEAST_TRAINED = 1_000
"""Fewer vectors than this train no groups: they stay flat whatever the budget."""
PER_LIST = 39
"""Vectors that FAISS wants to see for each group."""
SUBSPACE = 6
"""Dimensions of one 4-bit code."""
LEAST_PROBES, MOST_PROBES = 16, 96
"""Groups looked at: a seventh of them, within this range, or a twentieth where that is more.

On 100,000 embeddings of real sentences 25 of 632 groups reach a recall of 0.89, 50 reach 0.93, 80 reach 0.96 and 120
reach 0.98, for 0.54 to 0.68 ms. On far fewer vectors more groups only fill the candidates with worse ones.
"""
NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """A flat index (`lists` is 0), or a quantized one with its numbers."""

    lists: int = 0
    probes: int = 0

    @property
    def exact(self) -> bool:
        """Whether every vector is compared."""
        return not self.lists


def choose(rows: int, dimensions: int, budget_bytes: int | None = None, place: Place = "cpu") -> Plan:
    """The plan for that many vectors; without a budget, memory does not count.

    A GPU compares every vector that fits.
    """
    fits = budget_bytes is None or rows * dimensions * NUMBER_BYTES <= budget_bytes
    if rows < LEAST_TRAINED or (fits and (rows <= EXACT_ROWS or place == "gpu")):
        return Plan()
    lists = max(1, min(int(2 * math.sqrt(rows)), rows // PER_LIST))
    return Plan(lists, min(lists, max(LEAST_PROBES, min(lists // 7, MOST_PROBES), lists // 20)))
