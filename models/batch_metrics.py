"""A batcher's counters as Prometheus metrics, for all models that answer in batches."""

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from configs.batching import WAIT_BUCKETS_S, BatchStats


class BatchCollector(Collector):
    """The batcher's counters as metrics, read when asked for."""

    def __init__(self, prefix: str, stats: BatchStats) -> None:
        self._prefix = prefix
        self._stats = stats

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """prometheus_client: the samples."""
        stats = self._stats
        counters = {
            "batches": ("Passes through the model.", stats.batches),
            "texts": ("Inputs answered.", stats.items),
            "tokens": ("Tokens read.", stats.size),
            "padded_tokens": ("Tokens read, padding included.", stats.padded_size),
            "busy_seconds": ("Time in which the model worked.", stats.busy_s),
            "idle_with_work_seconds": (
                "Time in which texts waited and the model did not work.",
                stats.idle_with_work_s,
            ),
            "refused": ("Inputs refused because the queue was full.", stats.refused),
            "cancelled": ("Inputs whose caller left.", stats.cancelled),
            "failed": ("Inputs whose pass failed.", stats.failed),
        }
        found: list[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = [
            CounterMetricFamily(f"{self._prefix}_{name}", text, value=value) for name, (text, value) in counters.items()
        ]
        return [*found, self._waits()]

    def _waits(self) -> HistogramMetricFamily:
        tops = [*map(str, WAIT_BUCKETS_S), "+Inf"]
        below, buckets = 0, []
        for top, count in zip(tops, self._stats.waits, strict=True):
            below += count
            buckets.append((top, below))
        text = "Time a text waited for the model."
        return HistogramMetricFamily(
            f"{self._prefix}_wait_seconds", text, buckets=buckets, sum_value=self._stats.wait_s
        )
