import pytest
from pydantic import ValidationError

from configs.problems import explain_model
from configs.specs import ModelSpec
from tests.configs.conftest import Problems

VLLM = "model_list:\n  - model_name: a\n    params: {model: vllm/a}\n"
TYPOS = {
    "top level": ("ingres: {}\n", "1:1", "ingres", "ingress"),
    "a section": ("general_settings:\n  prot: 1\n", "2:3", "prot", "port"),
    "a section in a section": (
        "search:\n  ray_actor_options:\n    num_cpu: 1\n",
        "3:5",
        "num_cpu",
        "num_cpus",
    ),
    "a model": (
        VLLM + "    enginee: {}\n",
        "4:5",
        "enginee",
        "engine",
    ),
    "a model's source": (
        "model_list:\n  - model_name: a\n    params: {model: vllm/a, modle: x}\n",
        "3:29",
        "modle",
        "model",
    ),
    "autoscaling": (
        VLLM + "    autoscaling:\n      max_replica: 2\n",
        "5:7",
        "max_replica",
        "max_replicas",
    ),
    "an adapter": (
        VLLM + "    adapters:\n      - {name: b, path: /b, pth: /c}\n",
        "5:29",
        "pth",
        "path",
    ),
    "an engine": (
        VLLM + "    engine:\n      seed: 1\n      max-model-len: 9\n",
        "6:7",
        "max-model-len",
        "max_model_len",
    ),
    "an embedder's engine": (
        VLLM + "    kind: embedding\n    engine: {normalise: true}\n",
        "5:14",
        "normalise",
        "normalize",
    ),
    "a reranker's engine": (
        VLLM + "    kind: rerank\n    engine: {thread: 2}\n",
        "5:14",
        "thread",
        "threads",
    ),
}


@pytest.mark.parametrize("level", TYPOS)
def test_a_typo_is_named_with_its_place(level: str, problems_of: Problems) -> None:
    text, place, wrong, meant = TYPOS[level]

    assert problems_of(text) == [f"manta.yaml:{place}: key {wrong!r} is not known here; did you mean {meant!r}?"]


WRONG_VALUES = {
    "port: 70000": "'port' must be <= 65535 (got 70000)",
    "port: -1": "'port' must be >= 0 (got -1)",
    "port: eight": "'port' must be a whole number (got 'eight')",
    "port: '8000'": "'port' must be a whole number (got '8000')",
    "port: 80.5": "'port' must be a whole number (got 80.5)",
    "port: true": "'port' must be a whole number (got true)",
    "port: null": "'port' must be a whole number (got null)",
    "port: [1]": "'port' must be a whole number (got a list)",
    "port: {a: 1}": "'port' must be a whole number (got a mapping)",
    "host: 127": "'host' must be text (got 127)",
    "host: ''": "'host' must be at least 1 long (got '')",
    "data_dir: 5": "'data_dir' must be text (got 5)",
    "data_dir: ~nobody-of-that-name/x": "'data_dir': its ~ names no home folder",
    "allowed_hosts: a": "'allowed_hosts' must be a list (got 'a')",
    "allowed_hosts: [a, 5]": "entry 1 of 'allowed_hosts' must be text (got 5)",
    "log_level: INFOO": "'log_level' must be 'debug', 'info', 'warning' or 'error' (got 'INFOO'); did you mean 'info'?",
    "public_url: https://a.example.com/path": (
        "'public_url' must be http:// or https:// with a host and perhaps a port, without a path"
        " (got 'https://a.example.com/path')"
    ),
}


@pytest.mark.parametrize("line", WRONG_VALUES)
def test_a_wrong_value_is_named_with_what_is_wanted(line: str, problems_of: Problems) -> None:
    [problem] = problems_of(f"general_settings:\n  {line}\n")

    place, _, message = problem.partition(": ")
    assert message == WRONG_VALUES[line]
    assert place.startswith("manta.yaml:2:")


def test_search_does_not_sleep(problems_of: Problems) -> None:
    [problem] = problems_of("search:\n  autoscaling: {min_replicas: 0, max_replicas: 2}\n")
    assert problem.startswith("manta.yaml:2:")
    assert "search does not sleep" in problem


MODELS = {
    "a missing key": ("- model_name: a", "2:5", "key 'params' is missing here"),
    "half a source": ("- {model_name: a, params: {model: /abc}}", "2:37", "'/abc' needs the form backend/source"),
    "a kind": ("- {model_name: a, kind: chatt, params: {model: v/a}}", "2:27", "did you mean 'chat'?"),
    "a name": ("- {model_name: ' a', params: {model: v/a}}", "2:18", "'model_name' must be at most 128 letters"),
    "no mapping": ("- 5", "2:5", "entry 0 of 'model_list' must be a mapping (got 5)"),
    "few above many": (
        "- {model_name: a, params: {model: v/a}, autoscaling: {min_replicas: 3, max_replicas: 2}}",
        "2:71",
        "'min_replicas' (3) is above 'max_replicas' (2)",
    ),
    "a start outside": (
        "- {model_name: a, params: {model: v/a}, autoscaling: {initial_replicas: 5}}",
        "2:75",
        "'initial_replicas' (5) is not between",
    ),
    "adapters of an embedder": (
        "- {model_name: a, kind: embedding, params: {model: x/a}, adapters: [{name: b, path: /b}]}",
        "2:70",
        "'adapters' are for models of kind 'chat'",
    ),
    "a name twice": (
        "- {model_name: a, params: {model: v/a}}\n  - {model_name: a, params: {model: v/b}}",
        "3:18",
        "model_name 'a' stands twice",
    ),
    "an adapter with a model's name": (
        "- {model_name: a, params: {model: v/a}, adapters: [{name: a, path: /b}]}",
        "2:61",
        "model_name 'a' stands twice",
    ),
    "an engine key too high": (
        "- {model_name: a, max_num_seqs: 4, params: {model: vllm/a}}",
        "2:21",
        "key 'max_num_seqs' is not known here; it belongs under 'engine'",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_what_is_wrong_with_a_model(case: str, problems_of: Problems) -> None:
    entry, place, message = MODELS[case]
    [problem] = problems_of(f"model_list:\n  {entry}\n")

    assert problem.startswith(f"manta.yaml:{place}: ")
    assert message in problem


def test_a_key_one_level_too_high_is_sent_to_its_section(problems_of: Problems) -> None:
    assert problems_of("port: 1\n") == [
        "manta.yaml:1:1: key 'port' is not known here; it belongs under 'general_settings'"
    ]


def test_many_problems_come_in_order_and_are_cut(problems_of: Problems) -> None:
    found = problems_of("".join(f"wrong{number}: 1\n" for number in range(80)))

    assert [line.split(":")[1] for line in found[:50]] == [str(number) for number in range(1, 51)]
    assert found[50:] == ["and 30 more"]


@pytest.mark.timeout(60)  # a suggestion for each of them would take minutes
def test_thousands_of_typos_end_soon(problems_of: Problems) -> None:
    keys = "".join(f"      max_model_le{number}: 1\n" for number in range(9000))
    found = problems_of(f"model_list:\n  - model_name: a\n    params: {{model: vllm/a}}\n    engine:\n{keys}")

    assert found[-1] == "and 8950 more"


def test_a_lone_model_is_explained_by_dotted_paths() -> None:
    with pytest.raises(ValidationError) as error:
        ModelSpec.model_validate(
            {
                "model_name": "m",
                "params": {"model": "vllm/m"},
                "engine": {"sed": 1, "api_key": ["canary"]},
                "autoscaling": {"max_replica": 2, "min_replicas": -1},
                "seed": 1,
            }
        )

    assert explain_model(error.value) == [
        ("engine.sed", "key 'sed' is not known here; did you mean 'seed'?"),
        (
            "engine.api_key",
            "'api_key' is refused: it concerns vLLM's own HTTP server, which no client reaches;"
            " make keys with 'manta keys create'",
        ),
        ("autoscaling.min_replicas", "'min_replicas' must be >= 0 (got -1)"),
        ("autoscaling.max_replica", "key 'max_replica' is not known here; did you mean 'max_replicas'?"),
        ("seed", "key 'seed' is not known here; it belongs under 'engine'"),
    ]
