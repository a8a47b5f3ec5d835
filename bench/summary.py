"""Many outcomes to a few numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.load import Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """One leg. A percentile is None when nothing was measured."""

    answers: int
    errors: dict[str, int]
    tokens: int
    events: int
    wall_s: float
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    gap_p50_ms: float | None
    gap_p99_ms: float | None
    whole_p50_s: float | None
    whole_p95_s: float | None
    whole_p99_s: float | None

    @property
    def tokens_per_s(self) -> float:
        """Over the whole leg."""
        return self.tokens / self.wall_s

    def as_json(self) -> dict[str, Any]:
        """Every field, and the rate."""
        return asdict(self) | {"tokens_per_s": self.tokens_per_s}


def summarize(outcomes: Sequence[Outcome], wall_s: float) -> Summary:
    """Percentiles over the answers that came without an error."""
    good = [outcome for outcome in outcomes if not outcome.error]
    ttfts = [1000 * outcome.ttft_s for outcome in good if outcome.ttft_s is not None]
    gaps = [1000 * gap for outcome in good for gap in outcome.gaps_s]
    wholes = [outcome.whole_s for outcome in good]
    return Summary(
        answers=len(outcomes),
        errors=dict(Counter(outcome.error for outcome in outcomes if outcome.error)),
        tokens=sum(outcome.tokens for outcome in good),
        events=sum(outcome.events for outcome in good),
        wall_s=wall_s,
        ttft_p50_ms=percentile(ttfts, 50),
        ttft_p99_ms=percentile(ttfts, 99),
        gap_p50_ms=percentile(gaps, 50),
        gap_p99_ms=percentile(gaps, 99),
        whole_p50_s=percentile(wholes, 50),
        whole_p95_s=percentile(wholes, 95),
        whole_p99_s=percentile(wholes, 99),
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """By nearest rank: the smallest value that `percent` of all do not exceed."""
    if not values:
        return None
    rank = max(1, -(-len(values) * percent // 100))
    return sorted(values)[int(rank) - 1]
