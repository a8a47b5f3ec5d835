import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serving.notes import Place
from serving.telemetry import labelled, labels_of

LABELS = b'model="m",replica="r"'


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"up 1", b'up{model="m",replica="r"} 1'),
        (b"up{} 1", b'up{model="m",replica="r"} 1'),
        (b'up{a="b"} 1.5e-07', b'up{model="m",replica="r",a="b"} 1.5e-07'),
        (b'up{a="} 7",b="{"} NaN', b'up{model="m",replica="r",a="} 7",b="{"} NaN'),
        (b'vllm:up{a="b"} 1 1700000000', b'vllm:up{model="m",replica="r",a="b"} 1 1700000000'),
        (b"# HELP up Is it up? {yes} 1", b"# HELP up Is it up? {yes} 1"),
        (b"# TYPE up gauge", b"# TYPE up gauge"),
        (b"", b""),
    ],
)
def test_labels_stand_before_a_samples_own(line: bytes, wanted: bytes) -> None:
    assert labelled(line + b"\n", LABELS) == wanted + b"\n"


def test_a_real_page_keeps_every_value() -> None:
    registry = CollectorRegistry()
    Counter("asked", "Questions.", ["route"], registry=registry).labels('/a "quoted", {path}').inc(3)
    Histogram("took", "Seconds.", registry=registry).observe(0.2)
    page = generate_latest(registry)
    before = [sample for family in text_string_to_metric_families(page.decode()) for sample in family.samples]
    after = [
        sample
        for family in text_string_to_metric_families(labelled(page, LABELS).decode())
        for sample in family.samples
    ]
    assert len(before) > 15
    assert [(each.name, {"model": "m", "replica": "r"} | each.labels, each.value) for each in before] == [
        (each.name, each.labels, each.value) for each in after
    ]


def test_a_replica_of_search_is_told_from_those_of_models() -> None:
    assert labels_of(Place("m", "r", "127.0.0.1", 1, tls=False)) == LABELS
    assert labels_of(Place("search-0", "r", "127.0.0.1", 1, tls=False, label="part")) == b'part="search-0",replica="r"'
