from pathlib import Path

import pytest

from tests.configs.conftest import MODEL, Load, Problems


def test_a_number_names_an_entry_and_one_past_the_end_adds_one(catalog_of: Load) -> None:
    catalog = catalog_of(
        MODEL,
        environ={
            "MANTA__MODEL_LIST__0__MODEL_NAME": "first",
            "MANTA__MODEL_LIST__1__MODEL_NAME": "second",
            "MANTA__MODEL_LIST__1__PARAMS__MODEL": "vllm/two",
        },
    )
    names = [(spec.model_name, spec.params.source) for spec in catalog.configuration.model_list]

    assert names == [("first", "one"), ("second", "two")]


def test_sections_and_lists_are_yaml_in_one_line(catalog_of: Load) -> None:
    catalog = catalog_of(
        "general_settings: {port: 9000, allowed_hosts: [old.example.com]}",
        environ={
            "MANTA__GENERAL_SETTINGS": "{log_level: debug, allowed_hosts: [a.example.com, b.example.com]}",
            "MANTA__MODEL_LIST": "[{model_name: m, params: {model: vllm/m}, engine: {hf_overrides: {a: 1}}}]",
            "MANTA__MODEL_LIST__0__ENGINE__HF_OVERRIDES": "{b: 2}",
        },
    )
    general = catalog.configuration.general_settings

    assert (general.port, general.log_level) == (9000, "debug")
    assert general.allowed_hosts == ("a.example.com", "b.example.com")
    assert catalog.configuration.model_list[0].engine_arguments == {"hf_overrides": {"a": 1, "b": 2}}
    assert catalog.origins["general_settings.allowed_hosts.1"].place == "environment MANTA__GENERAL_SETTINGS"


def test_text_stays_text_and_numbers_become_numbers(catalog_of: Load) -> None:
    catalog = catalog_of(
        MODEL,
        environ={
            "MANTA__MODEL_LIST__0__MODEL_NAME": "123",
            "MANTA__MODEL_LIST__0__ENGINE__REVISION": "456",
            "MANTA__MODEL_LIST__0__ENGINE__SEED": "7",
            "MANTA__MODEL_LIST__0__ENGINE__ENFORCE_EAGER": "true",
            "MANTA__SEARCH__AUTOSCALING__MAX_REPLICAS": "2",
            "MANTA__GENERAL_SETTINGS__DATA_DIR": "789",
        },
    )
    spec = catalog.configuration.model_list[0]

    assert spec.model_name == "123"
    assert spec.engine == {"revision": "456", "seed": 7, "enforce_eager": True}
    assert catalog.configuration.search.autoscaling.max_replicas == 2
    assert catalog.configuration.general_settings.data_dir == Path("789")


def test_an_encoders_keys(catalog_of: Load) -> None:
    catalog = catalog_of(
        "model_list: [{model_name: e, kind: embedding, params: {model: sentence_transformers/e}}]",
        environ={
            "MANTA__MODEL_LIST__0__ENGINE__QUERY_PREFIX": "1",
            "MANTA__MODEL_LIST__0__ENGINE__THREADS": "2",
            "MANTA__MODEL_LIST__0__ENGINE__NORMALIZE": "false",
        },
    )
    engine = catalog.configuration.model_list[0].embedding_engine

    assert (engine.query_prefix, engine.threads, engine.normalize) == ("1", 2, False)


def test_null_unsets(catalog_of: Load) -> None:
    catalog = catalog_of(
        "general_settings: {data_dir: /srv/manta, public_url: 'https://a.example.com'}",
        environ={"MANTA__GENERAL_SETTINGS__DATA_DIR": "null", "MANTA__GENERAL_SETTINGS__PUBLIC_URL": "null"},
    )

    assert catalog.configuration.general_settings.data_dir is None
    assert catalog.origins["general_settings.public_url"].kind == "environment"


def test_the_long_name_beats_the_short_one_of_the_same_level(catalog_of: Load) -> None:
    environ = {"MANTA_DATA_DIR": "/short", "MANTA__GENERAL_SETTINGS__DATA_DIR": "/long"}

    assert catalog_of("", environ=environ).configuration.general_settings.data_dir == Path("/long")


def test_home_is_found(catalog_of: Load) -> None:
    catalog = catalog_of("", environ={"MANTA_DATA_DIR": "~/manta"})

    assert catalog.configuration.general_settings.data_dir == Path.home() / "manta"


PROBLEMS = {
    ("MANTA__INGRES__PORT", "1"): "key 'ingres' is not known here; did you mean 'ingress'?",
    ("MANTA__GENERAL_SETTINGS__PRT", "1"): "key 'prt' is not known here; did you mean 'port'?",
    ("MANTA__GENERAL_SETTINGS__PORT", "70000"): "'port' must be <= 65535 (got 70000)",
    ("MANTA__GENERAL_SETTINGS__PORT", "x"): "'port' must be a whole number (got 'x')",
    ("MANTA__GENERAL_SETTINGS__PORT", "1e999"): "the number is too large",
    ("MANTA__GENERAL_SETTINGS__PORT__X", "1"): "'x' cannot be set below a value that is no mapping",
    ("MANTA__GENERAL_SETTINGS__ALLOWED_HOSTS", "[a"): "this is not YAML: ",
    ("MANTA__GENERAL_SETTINGS__ALLOWED_HOSTS", "!!python/none x"): "the tag 'tag:yaml.org,2002:python/none'",
    ("MANTA__GENERAL_SETTINGS__HOST", "a\ud800"): "its value is not UTF-8 text",
    ("MANTA__MODEL_LIST__5__KIND", "chat"): "there is no entry 5 in a list of 1 (entries count from 0)",
    ("MANTA__MODEL_LIST__ONE__KIND", "chat"): "there is no entry one in a list of 1 (entries count from 0)",
    ("MANTA__MODEL_LIST__99999999999__KIND", "chat"): "there is no entry 99999999999 in a list of 1",
    ("MANTA__MODEL_LIST__0__ENGINE__MAX_MODL_LEN", "9"): (
        "key 'max_modl_len' is not known here; did you mean 'max_model_len'?"
    ),
    ("MANTA__" + "__".join(["A"] * 500), "1"): "it names more than 16 levels",
    ("MANTA_INGRESS__NUM_REPLICAS", "2"): (
        "'MANTA_INGRESS__NUM_REPLICAS' is not known; did you mean 'MANTA__INGRESS__NUM_REPLICAS'?"
    ),
    ("MANTA_CONFGI", "x"): "'MANTA_CONFGI' is not known; did you mean 'MANTA_CONFIG'?",
    ("MANTA_API_KEY_FIEL", "x"): "'MANTA_API_KEY_FIEL' is not known; did you mean 'MANTA_API_KEY_FILE'?",
}


@pytest.mark.parametrize(
    ("variable", "value"), PROBLEMS, ids=[name[:40] + "=" + ascii(text) for name, text in PROBLEMS]
)
def test_a_wrong_variable_is_named(variable: str, value: str, problems_of: Problems) -> None:
    text = MODEL + ("general_settings: {port: 1}\n" if variable.endswith("__X") else "")
    [problem] = problems_of(text, environ={variable: value})

    assert problem.startswith(f"environment {variable}: {PROBLEMS[variable, value]}")


@pytest.mark.parametrize("name", ["MANTA_SERVICE_HOST", "MANTA_PORT", "MANTA_PORT_8000_TCP_ADDR", "MANTA_API_PORT"])
def test_what_kubernetes_sets_beside_a_service_of_ours_passes(name: str, problems_of: Problems) -> None:
    assert problems_of(MODEL, environ={name: "tcp://10.0.0.1:8000"}) == []
