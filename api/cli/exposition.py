"""Read Prometheus text: sums and counts of histograms, and what came to them between two looks."""

import re
from dataclasses import dataclass

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")


@dataclass(frozen=True)
class Mean:
    """What a histogram took in: how many observations, of how many seconds together."""

    count: float = 0.0
    seconds: float = 0.0

    def __sub__(self, other: "Mean") -> "Mean":
        return Mean(self.count - other.count, self.seconds - other.seconds)

    def mean_s(self) -> float:
        """Seconds per observation."""
        return self.seconds / self.count if self.count else 0.0


class Page:
    """One look at `/metrics`."""

    def __init__(self, text: str) -> None:
        self._samples = [found.groups() for line in text.splitlines() if (found := SAMPLE.match(line))]

    def histogram(self, name: str, **labels: str) -> Mean:
        """The histogram's sum and count over all series that carry `labels`."""
        return Mean(self._sum(f"{name}_count", labels), self._sum(f"{name}_sum", labels))

    def _sum(self, name: str, labels: dict[str, str]) -> float:
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(value)
            for found, own, value in self._samples
            if found == name and all(label in (own or "").split(",") for label in wanted)
        )
