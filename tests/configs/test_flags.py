from enum import Enum
from pathlib import Path

import pytest

from tests.configs.conftest import MODEL, Load, Problems

TWO = """\
model_list:
  - model_name: one
    params: {model: vllm/one}
    engine: {seed: 1}
  - model_name: two
    params: {model: vllm/two}
  - model_name: embedder
    kind: embedding
    params: {model: sentence_transformers/embedder}
"""


class Level(Enum):
    LOUD = "debug"


def test_flags_by_name(catalog_of: Load) -> None:
    catalog = catalog_of(
        MODEL,
        flags={
            "host": "0.0.0.0",
            "port": 9000,
            "data-dir": Path("/srv/manta"),
            "log_level": Level.LOUD,
            "allowed_hosts": ("a.example.com",),
            "num_replicas": 2,
            "search.enabled": False,
            "public_url": None,
        },
    )
    general = catalog.configuration.general_settings

    assert (general.host, general.port, general.data_dir) == ("0.0.0.0", 9000, Path("/srv/manta"))
    assert (general.log_level, general.allowed_hosts, general.public_url) == ("debug", ("a.example.com",), None)
    assert catalog.configuration.ingress.num_replicas == 2
    assert not catalog.configuration.search.enabled
    assert catalog.origins["search.enabled"].place == "flag --search.enabled"
    assert catalog.origins["general_settings.data_dir"].place == "flag --data-dir"
    assert catalog.origins["general_settings.public_url"].kind == "default"


def test_engine_flags_go_to_the_one_chat_model(catalog_of: Load) -> None:
    catalog = catalog_of(MODEL, flags={"max-model-len": 512, "tensor_parallel_size": 2})

    assert catalog.configuration.model_list[0].engine == {"max_model_len": 512, "tensor_parallel_size": 2}
    assert catalog.origins["model_list.0.engine.max_model_len"].place == "flag --max-model-len"


@pytest.mark.parametrize(
    ("model", "name", "source"),
    [
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", "vllm/Qwen/Qwen3-0.6B"),
        ("vllm/starter", "starter", "vllm/starter"),
        ("/srv/models/house-chat/", "house-chat", "vllm//srv/models/house-chat"),
        ("~/house-chat", "house-chat", f"vllm/{Path.home()}/house-chat"),
    ],
)
def test_a_model_given_as_argument_takes_the_place_of_the_chat_models(
    model: str, name: str, source: str, catalog_of: Load
) -> None:
    catalog = catalog_of(TWO, flags={"model": model, "max_model_len": 512})
    chat, embedder = catalog.configuration.model_list

    assert (chat.model_name, chat.params.model, chat.engine) == (name, source, {"max_model_len": 512})
    assert embedder.model_name == "embedder"
    assert catalog.origins["model_list.0.model_name"].place == "argument MODEL"


def test_a_model_of_the_file_keeps_its_settings(catalog_of: Load) -> None:
    catalog = catalog_of(TWO, flags={"model": "one"})

    assert [spec.model_name for spec in catalog.configuration.model_list] == ["one", "embedder"]
    assert catalog.configuration.model_list[0].engine == {"seed": 1}
    assert catalog.origins["model_list.0.engine.seed"].kind == "file"


PROBLEMS = {
    "prot": (1, "flag --prot: this flag is not known; did you mean '--port'?"),
    "max_modle_len": (1, "flag --max-modle-len: this flag is not known; did you mean '--max-model-len'?"),
    "port": (70000, "flag --port: 'port' must be <= 65535 (got 70000)"),
    "search.enable": (True, "flag --search.enable: key 'enable' is not known here; did you mean 'enabled'?"),
    "model_list.9.kind": ("chat", "flag --model_list.9.kind: there is no entry 9 in a list of 3"),
    "max_model_len": (5, "flag --max-model-len: it needs exactly one chat model to apply to, and there are 2"),
    "host": (object(), "flag --host: its value is nothing that YAML could hold"),
    "keep_alive_s": (float("nan"), "flag --keep-alive-s: its value is nothing that YAML could hold"),
    "data_dir": ("a\0b", "flag --data-dir: its value is not UTF-8 text"),
    "model": ("", "argument MODEL: it must name a model"),
    "model_name": ("x", "flag --model-name: this flag is not known"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_wrong_flag_is_named(name: str, problems_of: Problems) -> None:
    value, message = PROBLEMS[name]
    [problem] = problems_of(TWO, flags={name: value})

    assert problem.startswith(message)


def test_a_refused_engine_flag_says_why(problems_of: Problems) -> None:
    [problem] = problems_of(MODEL, flags={"trust_remote_code": True})

    assert problem.startswith("flag --trust-remote-code: 'trust_remote_code' is refused: it runs Python code")
