"""Two ways of doing the same work, run in the order A B B A, compared pair by pair.

Run as: a module that the other benches import. It knows nothing of what it measures.
"""

import random
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of this process (all threads) and wall seconds of one leg."""

    cpu_s: float
    wall_s: float


def cpu_s() -> float:
    """CPU seconds that this process and its ended children used so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(leg: Callable[[], object]) -> Cost:
    """Run one leg."""
    start_cpu_s, start_s = cpu_s(), time.perf_counter()
    leg()
    return Cost(cpu_s() - start_cpu_s, time.perf_counter() - start_s)


def interleaved(a: Callable[[], object], b: Callable[[], object], pairs: int) -> list[tuple[Cost, Cost]]:
    """`pairs` pairs (cost of a, cost of b) in the order A B, B A, A B, ...; run both once before to warm up."""
    found = []
    for pair in range(pairs):
        if pair % 2:
            second = measure(b)
            found.append((measure(a), second))
        else:
            first = measure(a)
            found.append((first, measure(b)))
    return found


def median_with_interval(ratios: list[float], draws: int = 2000) -> tuple[float, float, float]:
    """The median of `ratios` and its bootstrap 95 % interval."""
    choose = random.Random(0)
    medians = sorted(statistics.median(choose.choices(ratios, k=len(ratios))) for _ in range(draws))
    return statistics.median(ratios), medians[int(draws * 0.025)], medians[int(draws * 0.975)]
