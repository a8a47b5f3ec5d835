import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs import engine_args
from configs.refused import ONLY_VALUES, REFUSED, REFUSED_VALUES
from configs.specs import EmbeddingEngine, ModelSpec, RerankEngine
from tests.configs.conftest import MODEL, Load, Problems

ROOT = Path(__file__).resolve().parents[2]


def with_engine(engine: str) -> str:
    return f"{MODEL}    engine: {{{engine}}}\n"


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
@pytest.mark.timeout(120)
def test_the_names_are_the_installed_vllms() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.engine_args", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr[-2000:]


def test_the_lists_name_arguments_that_exist() -> None:
    assert set(REFUSED) | set(REFUSED_VALUES) | set(ONLY_VALUES) <= set(engine_args.known())


def test_the_names_that_matter_most_may_be_set() -> None:
    names = """max_model_len max_num_seqs gpu_memory_utilization kv_cache_memory_bytes tensor_parallel_size
        pipeline_parallel_size data_parallel_size dtype quantization enforce_eager enable_lora max_loras seed
        enable_auto_tool_choice tool_call_parser reasoning_parser chat_template chat_template_content_format
        response_role return_tokens_as_token_ids enable_prompt_tokens_details enable_prefix_caching revision"""

    assert set(names.split()) <= set(engine_args.allowed())


def test_good_arguments_pass(catalog_of: Load) -> None:
    engine = """max_model_len: 4096, gpu_memory_utilization: 1, dtype: auto, seed: 0, cpu_offload_gb: 0.5,
      compilation_config: {mode: 0}, cudagraph_capture_sizes: [1, 2], kv_cache_dtype: fp8, tool_call_parser: hermes,
      served: 1""".replace(",\n      served: 1", "")
    spec = catalog_of(with_engine(engine)).configuration.model_list[0]

    assert spec.engine_arguments["cudagraph_capture_sizes"] == [1, 2]
    assert spec.engine_arguments["compilation_config"] == {"mode": 0}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_argument_says_why_and_what_instead(name: str, problems_of: Problems) -> None:
    [problem] = problems_of(with_engine(f"{name}: null"))
    reason, fix = REFUSED[name]

    assert problem == f"manta.yaml:4:14: '{name}' is refused: {reason}; {fix}"


WRONG: dict[str, str] = {
    "max_modl_len: 1": "key 'max_modl_len' is not known here; did you mean 'max_model_len'?",
    "zzz: 1": "key 'zzz' is not known here",
    "max_model_len: 8k": "'max_model_len' must be a whole number (got '8k')",
    "max_model_len: 1.5": "'max_model_len' must be a whole number (got 1.5)",
    "seed: true": "'seed' must be a whole number (got true)",
    "seed: null": "'seed' must be a whole number (got null)",
    "enforce_eager: yes": "'enforce_eager' must be true or false (got 'yes')",
    "dtype: float15": (
        "'dtype' must be 'auto', 'half', 'float16', 'bfloat16', 'float' or 'float32' (got 'float15')"
        "; did you mean 'float16'?"
    ),
    "max_lora_rank: 17": "'max_lora_rank' must be 1, 8, 16, 32, 64, 128, 256, 320 or 512 (got 17)",
    "hf_overrides: 1": "'hf_overrides' must be a mapping (got 1)",
    "load_format: pt": "'load_format' may not be 'pt': it unpickles files; convert the weights to safetensors",
    "distributed_executor_backend: my.Executor": (
        "'distributed_executor_backend' must be 'mp', 'ray' or 'uni' (got 'my.Executor')"
    ),
}


@pytest.mark.parametrize("argument", WRONG)
def test_a_wrong_argument_is_named(argument: str, problems_of: Problems) -> None:
    [problem] = problems_of(with_engine(argument))

    assert problem.partition(": ")[2] == WRONG[argument]


def test_all_wrong_arguments_are_named_with_the_rest(problems_of: Problems) -> None:
    found = problems_of(with_engine("host: a, sed: 1, dtype: 5") + "    kin: chat\n")

    assert [line.split(":")[1:3] for line in found] == [["4", "14"], ["4", "23"], ["4", "38"], ["5", "5"]]


def test_another_backend_has_its_own_keys() -> None:
    spec = ModelSpec.model_validate({"model_name": "m", "params": {"model": "other/m"}, "engine": {"anything": 1}})

    assert spec.engine == {"anything": 1}


def test_a_model_added_later_is_checked_too() -> None:
    with pytest.raises(ValueError, match="'trust_remote_code' is refused"):
        ModelSpec.model_validate(
            {"model_name": "m", "params": {"model": "vllm/m"}, "engine": {"trust_remote_code": True}}
        )


def encoder(kind: str, engine: dict[str, Any]) -> ModelSpec:
    return ModelSpec.model_validate({"model_name": "m", "kind": kind, "params": {"model": "x/m"}, "engine": engine})


def test_the_keys_of_encoders() -> None:
    assert encoder("embedding", {"threads": 2, "query_prefix": "q: "}).embedding_engine == EmbeddingEngine(
        max_batch_tokens=16384, device="auto", dtype="auto", normalize=True, query_prefix="q: ", threads=2
    )
    assert encoder("rerank", {"device": "cpu"}).rerank_engine == RerankEngine(device="cpu")


@pytest.mark.parametrize("engine", [{"normalize": False}, {"query_prefix": "x"}, {"max_model_len": 5}])
def test_a_reranker_has_no_vectors(engine: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is not known here"):
        encoder("rerank", engine)
