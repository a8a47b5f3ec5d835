from prometheus_client import CollectorRegistry, Histogram, generate_latest

from api.cli.exposition import Mean, Page


def page(*seen: tuple[str, float]) -> Page:
    registry = CollectorRegistry()
    took = Histogram("took_seconds", "Seconds.", ["phase", "route"], registry=registry)
    for phase, seconds in seen:
        took.labels(phase, "/v1/x").observe(seconds)
    return Page(generate_latest(registry).decode())


def test_a_histogram_is_summed_over_the_series_asked_for() -> None:
    found = page(("edge", 1.0), ("edge", 2.0), ("edge_more", 4.0))
    assert found.histogram("took_seconds", phase="edge") == Mean(2, 3.0)
    assert found.histogram("took_seconds", phase="edge", route="/v1/x") == Mean(2, 3.0)
    assert found.histogram("took_seconds") == Mean(3, 7.0)
    assert found.histogram("took_seconds", phase="nothing") == Mean()
    assert found.histogram("took") == Mean()


def test_what_came_between_two_looks_has_a_mean() -> None:
    before, after = page(("edge", 9.0)), page(("edge", 9.0), ("edge", 1.0), ("edge", 2.0))
    came = after.histogram("took_seconds") - before.histogram("took_seconds")
    assert came == Mean(2, 3.0)
    assert came.mean_s() == 1.5
    assert Mean().mean_s() == 0.0


def test_what_is_no_sample_is_passed_over() -> None:
    assert Page("# HELP x y\n\nrubbish\n<html>\n").histogram("x") == Mean()
