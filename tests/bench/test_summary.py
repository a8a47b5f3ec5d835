from bench.load import Outcome
from bench.summary import percentile, summarize


def test_percentile_by_nearest_rank() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, percent) for percent in (1, 20, 50, 99, 100)] == [1.0, 1.0, 3.0, 5.0, 5.0]
    assert percentile([], 50) is None


def test_failed_answers_count_as_errors_only() -> None:
    good = Outcome(ttft_s=0.1, whole_s=1.0, gaps_s=(0.01, 0.03), events=4, tokens=3, error="")
    bad = Outcome(ttft_s=None, whole_s=9.0, gaps_s=(), events=1, tokens=0, error="cut")
    found = summarize([good, bad, good], 2.0)
    assert (found.answers, found.errors, found.tokens, found.events) == (3, {"cut": 1}, 6, 8)
    assert (found.tokens_per_s, found.ttft_p99_ms, found.gap_p50_ms, found.whole_p99_s) == (3.0, 100.0, 10.0, 1.0)
