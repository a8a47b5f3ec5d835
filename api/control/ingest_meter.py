"""What the ingest of this process counts, as Prometheus reads it."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from api.db.ingest_parts import Part


class IngestMeter:
    """Counters since the start of the process; how many files wait is in the database, and told with the page."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._ended = Counter(
            "manta_ingest_files", "Files by their end; 'abandoned' are cancelled or were tried too often.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self._chunks = Counter("manta_ingest_chunks", "Chunks that were written.", registry=registry)
        self._bytes = Counter("manta_ingest_bytes", "Sealed bytes of those chunks.", registry=registry)
        self._waiting = Gauge("manta_ingest_waiting_files", "Files that nobody works on yet.", registry=registry)
        self._working = Gauge("manta_ingest_working_files", "Files that are worked on.", registry=registry)

    def wrote(self, parts: Iterable[Part]) -> None:
        """These were taken by the database."""
        for part in parts:
            self._chunks.inc(len(part.chunks))
            self._bytes.inc(sum(len(content) + len(vectors) for _, content, vectors in part.chunks))
            if part.outcome is not None:
                self._ended.labels("failed" if part.outcome.error_code is not None else "completed").inc()

    def abandoned(self, files: int) -> None:
        """So many came to an end without any work."""
        self._ended.labels("abandoned").inc(files)

    def page(self, waiting: float, working: float) -> bytes:
        """All of it; NaN for what is not known now."""
        self._waiting.set(waiting)
        self._working.set(working)
        return generate_latest(self._registry)
