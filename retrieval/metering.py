"""What a search replica counts, as Prometheus reads it. It knows no store and no process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meter:
    """Of one process. Thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.batches = Histogram(
            "manta_search_batch_questions",
            "Questions that were answered together; their sum is the number of questions.",
            buckets=BATCHES,
            registry=self._registry,
        )
        self.applied = Histogram(
            "manta_search_applied_seconds",
            "From the oldest of some changes being written until all of them are found, in stores that are followed.",
            buckets=SECONDS,
            registry=self._registry,
        )

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A number that is read when the page is asked for."""
        Gauge(f"manta_search_{name}", text, registry=self._registry).set_function(read)

    def page(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
