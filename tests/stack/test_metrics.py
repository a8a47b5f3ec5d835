"""What the front door tells about everything behind it."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack


def test_one_page_holds_ingress_engines_and_ray(stack: Stack) -> None:
    stack.sdk().completions.create(model="starter", prompt="hello", max_tokens=3)
    before = stack.metric("manta_tokens_total", model="starter", kind="completion")
    stack.sdk().completions.create(model="starter", prompt="hello", max_tokens=3, extra_body={"ignore_eos": True})
    assert stack.metric("manta_tokens_total", model="starter", kind="completion") == before + 3
    stack.until(lambda: "ray_serve" in stack.get("/metrics").text, 30)
    page = stack.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    engine = families["vllm:num_requests_running"].samples[0]
    assert engine.labels["model"] == "starter"
    assert engine.labels["replica"]
    assert families["manta_embedding_texts"].samples[0].labels["model"] == "all-MiniLM-L6-v2"
    assert families["manta_search_stores"].samples[0].labels["part"] == "search"
    assert families["manta_ingest_waiting_files"].samples[0].labels["part"] == "control"
    phases = {sample.labels.get("phase") for sample in families["manta_phase_seconds"].samples}
    assert {"edge", "lease", "first_byte", "total"} <= phases


def test_metrics_want_a_key_from_behind_a_proxy(stack: Stack) -> None:
    headers = {"authorization": "", "x-forwarded-for": "192.0.2.1"}
    assert stack.get("/metrics", headers=headers).status_code == 401
    assert stack.get("/metrics").status_code == 200


def test_usage_reaches_the_database(stack: Stack) -> None:
    import psycopg

    from configs.cluster import Cluster
    from configs.datadir import Layout

    stack.sdk().completions.create(model="starter", prompt="hello", max_tokens=3, extra_body={"ignore_eos": True})
    jobs_url = Cluster.read(Layout(stack.data_dir).cluster).jobs_url
    assert jobs_url is not None
    url = jobs_url.get_secret_value()

    def rows() -> int:
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
            found = connection.execute("select count(*) from usage where completion_tokens = 3").fetchone()
            assert found is not None
            return int(found[0])

    stack.until(lambda: rows() >= 1, 10)
