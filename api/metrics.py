"""The ingress's own metrics. vLLM's and Ray's keep their names and are merged in by `api.exposition`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REGISTRY = CollectorRegistry()

REQUESTS = Counter("manta_requests", "Requests by route and status.", ["route", "status"], registry=REGISTRY)
PHASES = Histogram(
    "manta_phase_seconds",
    "Where a request's time goes: edge (gate, key, checks), lease, first_byte (from lease to first byte), stream.",
    ["phase", "route"],
    buckets=SECONDS,
    registry=REGISTRY,
)
TOKENS = Counter("manta_tokens", "Tokens by model and kind.", ["model", "kind"], registry=REGISTRY)
OPEN_ANSWERS = Gauge("manta_open_answers", "Answers that are being given.", ["model"], registry=REGISTRY)
LOST_USAGE = Counter("manta_lost_usage", "Usage rows that the disk did not take.", registry=REGISTRY)
