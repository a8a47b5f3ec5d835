"""Models that come and go while the others answer."""

import shutil
from pathlib import Path

import pytest
from openai import BadRequestError, InternalServerError

from models import sources
from tests.fixtures.adapters import write_adapter
from tests.fixtures.encoders import save_tiny_reranker
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.stack


def test_an_embedder_is_added_and_removed_while_chat_goes_on(stack: Stack) -> None:
    spec = {
        "model_name": "second/embedder",
        "kind": "embedding",
        "params": {"model": "sentence_transformers/all-MiniLM-L6-v2"},
    }
    (replica,) = stack.processes("replica")
    assert stack.request("POST", "/api/models", json=spec).status_code == 201
    assert stack.request("POST", "/api/models", json=spec).status_code == 409
    answer = stack.sdk(timeout=120).embeddings.create(model="second/embedder", input="held until it is ready")
    assert len(answer.data[0].embedding) == 384
    assert stack.sdk().completions.create(model="starter", prompt="hello", max_tokens=2).choices
    assert stack.request("DELETE", "/api/models/second/embedder").status_code == 200
    assert stack.request("DELETE", "/api/models/second/embedder").status_code == 404
    assert stack.request("POST", "/api/models", json=spec).status_code == 201
    assert stack.sdk(timeout=45).embeddings.create(model="second/embedder", input="added again at once").data
    assert stack.request("DELETE", "/api/models/second/embedder").status_code == 200
    names = [model["id"] for model in stack.get("/api/models").json()["data"]]
    assert "second/embedder" not in names
    assert replica.is_running()


def test_documents_are_reranked(stack: Stack) -> None:
    """By a cross-encoder with random weights: what is proven is the way, not the order's sense."""
    folder = stack.data_dir.parent / "reranker"
    folder.mkdir()
    spec = {
        "model_name": "judge",
        "kind": "rerank",
        "params": {"model": f"sentence_transformers/{save_tiny_reranker(folder)}"},
    }
    assert stack.request("POST", "/api/models", json=spec).status_code == 201
    body = {"model": "judge", "query": "a ray", "documents": ["tax law", {"text": "a manta ray"}, "the sea"]}
    answer = stack.request("POST", "/v1/rerank", json=body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert sorted(result["index"] for result in results) == [0, 1, 2]
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert {result["document"]["text"] for result in results} == {"tax law", "a manta ray", "the sea"}
    first = stack.request("POST", "/v1/rerank", json={**body, "top_n": 1, "return_documents": False}).json()["results"]
    assert first == [{name: results[0][name] for name in ("index", "relevance_score")}]
    long = stack.request("POST", "/v1/rerank", json={**body, "query": "word " * 400})
    assert (long.status_code, long.json()["error"]["param"]) == (400, "query")
    assert stack.request("DELETE", "/api/models/judge").status_code == 200


def test_a_model_that_does_not_exist_fails_alone_and_says_why(stack: Stack) -> None:
    spec = {"model_name": "ghost", "kind": "embedding", "params": {"model": "sentence_transformers/./no-such-folder"}}
    assert stack.request("POST", "/api/models", json=spec).status_code == 201

    def ghost() -> dict[str, str]:
        (found,) = [model for model in stack.get("/api/models").json()["data"] if model["id"] == "ghost"]
        return dict(found)

    stack.until(lambda: ghost()["state"] == "failed", 90)
    assert "no-such-folder" in ghost()["message"]
    with pytest.raises(InternalServerError) as refused:
        stack.sdk(timeout=20).embeddings.create(model="ghost", input="nobody will answer")
    assert refused.value.status_code == 503
    assert "could not be started" in refused.value.message
    assert "no-such-folder" not in refused.value.message + stack.get("/readyz").text
    assert stack.sdk().completions.create(model="starter", prompt="hello", max_tokens=2).choices
    stack.request("DELETE", "/api/models/ghost")


def test_no_adapter_takes_the_name_of_a_model(stack: Stack) -> None:
    spec = {
        "model_name": "thief",
        "params": {"model": "vllm/starter"},
        "adapters": [{"name": "starter", "path": "/nowhere"}],
    }
    answer = stack.request("POST", "/api/models", json=spec)
    assert (answer.status_code, "starter" in answer.json()["error"]["message"]) == (409, True)


def test_a_model_sleeps_and_its_first_request_wakes_it(stack: Stack) -> None:
    spec = {
        "model_name": "sleeper",
        "kind": "embedding",
        "params": {"model": "sentence_transformers/all-MiniLM-L6-v2"},
        "autoscaling": {"min_replicas": 0, "max_replicas": 1, "downscale_delay_s": 3, "downscale_to_zero_delay_s": 3},
    }
    assert stack.request("POST", "/api/models", json=spec).status_code == 201

    def state() -> str:
        models = stack.get("/readyz").json()["parts"]["models"]
        return str(models.get("sleeper", {}).get("state"))

    stack.until(lambda: state() == "asleep", 60)
    assert stack.sdk(timeout=120).embeddings.create(model="sleeper", input="wake").data
    stack.until(lambda: state() == "asleep", 90)
    stack.request("DELETE", "/api/models/sleeper")


def test_a_second_chat_model_with_an_adapter(stack: Stack) -> None:
    """Two engines side by side, the second without a chat template; the adapter answers otherwise than its base."""
    spec = {
        "model_name": "tuned",
        "kind": "chat",
        "params": {"model": f"vllm/{starter_without_template(stack.data_dir.parent / 'base')}"},
        "engine": {"max_model_len": 512, "enforce_eager": True, "max_lora_rank": 8, "kv_cache_memory_bytes": 2**28},
        "adapters": [{"name": "tuned-ray", "path": str(write_adapter(stack.data_dir.parent / "adapter"))}],
    }
    assert stack.request("POST", "/api/models", json=spec).status_code == 201
    client = stack.sdk(timeout=180)
    base, adapter, first = (
        client.completions.create(model=name, prompt="Manta is", max_tokens=12, temperature=0)
        for name in ("tuned", "tuned-ray", "starter")
    )
    assert base.choices[0].text == first.choices[0].text
    assert adapter.choices[0].text != base.choices[0].text
    assert client.models.retrieve("tuned-ray").to_dict()["parent"] == "tuned"
    for stream in (False, True):
        with pytest.raises(BadRequestError, match="no chat template: it serves /v1/completions") as refused:
            client.chat.completions.create(
                model="tuned", messages=[{"role": "user", "content": "hello"}], max_tokens=2, stream=stream
            )
        assert refused.value.param == "messages"
    assert stack.request("DELETE", "/api/models/tuned").status_code == 200


def starter_without_template(folder: Path) -> Path:
    source = sources.folder("starter", "transformers")
    return Path(shutil.copytree(source, folder, ignore=shutil.ignore_patterns("chat_template.jinja")))
