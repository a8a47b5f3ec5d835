from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from api.exposition import merge
from serving.telemetry import labelled


def page(value: float) -> bytes:
    registry = CollectorRegistry()
    Gauge("up", "Is it up?", registry=registry).set(value)
    Histogram("took", "Seconds.", registry=registry).observe(value)
    return generate_latest(registry)


def test_a_metric_has_one_head_and_all_its_samples_below_it() -> None:
    pages = [labelled(page(number), b'replica="%d"' % number) for number in (1, 2, 3)]
    families = list(text_string_to_metric_families(merge(pages).decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    (up,) = (family for family in families if family.name == "up")
    assert up.documentation == "Is it up?"
    assert {sample.labels["replica"]: sample.value for sample in up.samples} == {"1": 1, "2": 2, "3": 3}
    samples = [
        sample
        for each in pages
        for family in text_string_to_metric_families(each.decode())
        for sample in family.samples
    ]
    assert sum(len(family.samples) for family in families) == len(samples)


def test_sources_that_gave_nothing_change_nothing() -> None:
    one = page(1)
    assert merge([b"", one, b"\n"]) == merge([one])
