import itertools
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from configs.catalog import Catalog, load, validate
from configs.errors import ConfigurationError, ModelNotFound
from tests.configs.conftest import MODEL, Load, Problems, Write

LEVELS = ("flag", "environment", "dotenv", "file")
LEAVES: dict[str, tuple[Any, dict[str, Any]]] = {
    # dotted path: default, then the value that each level gives
    "ingress.num_replicas": (1, {"file": 2, "dotenv": 3, "environment": 4, "flag": 5}),
    "general_settings.log_level": (
        "info",
        {"file": "debug", "dotenv": "warning", "environment": "error", "flag": "info"},
    ),
    "search.ray_actor_options.num_cpus": (0.1, {"file": 0.2, "dotenv": 0.3, "environment": 0.4, "flag": 0.5}),
    "model_list.0.autoscaling.max_replicas": (1, {"file": 2, "dotenv": 3, "environment": 4, "flag": 5}),
    "model_list.0.engine.max_model_len": (None, {"file": 512, "dotenv": 640, "environment": 768, "flag": 1024}),
}
SUBSETS = [set(some) for size in range(5) for some in itertools.combinations(LEVELS, size)]


def yaml_text(path: str, value: object) -> str:
    sections = {
        "ingress.num_replicas": f"ingress: {{num_replicas: {value}}}",
        "general_settings.log_level": f"general_settings: {{log_level: {value}}}",
        "search.ray_actor_options.num_cpus": f"search: {{ray_actor_options: {{num_cpus: {value}}}}}",
        "model_list.0.autoscaling.max_replicas": f"    autoscaling: {{max_replicas: {value}}}",
        "model_list.0.engine.max_model_len": f"    engine: {{max_model_len: {value}}}",
    }
    return sections[path]


def leaf(catalog: Catalog, path: str) -> object:
    value: Any = catalog.configuration
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        else:
            value = value[int(step)] if step.isdigit() else getattr(value, step)
    return value


@pytest.mark.parametrize("given", SUBSETS, ids=lambda given: "+".join(sorted(given)) or "nothing")
@pytest.mark.parametrize("path", LEAVES)
def test_the_strongest_level_wins(path: str, given: set[str], catalog_of: Load, tmp_path: Path) -> None:
    default, values = LEAVES[path]
    variable = "MANTA__" + path.upper().replace(".", "__")
    env_file = tmp_path / "some.env"
    env_file.write_text(f"{variable}={values['dotenv']}\n" if "dotenv" in given else "")
    catalog = catalog_of(
        MODEL + (yaml_text(path, values["file"]) if "file" in given else ""),
        flags={path: values["flag"]} if "flag" in given else {},
        environ={variable: str(values["environment"])} if "environment" in given else {},
        env_file=env_file,
    )

    winner = next((level for level in LEVELS if level in given), None)
    assert leaf(catalog, path) == (values[winner] if winner else default)
    if winner or default is not None:
        assert catalog.origins[path].kind == (winner or "default")


def test_origins_name_the_place(catalog_of: Load, tmp_path: Path) -> None:
    env_file = tmp_path / "some.env"
    env_file.write_text("\n# a comment\nMANTA__INGRESS__KEEP_ALIVE_S=30\n")
    catalog = catalog_of(
        MODEL + "search:\n  enabled: false\n",
        flags={"port": 9000},
        environ={"MANTA__INGRESS__NUM_REPLICAS": "2", "MANTA_DATA_DIR": "/srv/manta"},
        env_file=env_file,
    )

    places = {path: origin.place for path, origin in catalog.origins.items()}
    assert places["general_settings.port"] == "flag --port"
    assert places["ingress.num_replicas"] == "environment MANTA__INGRESS__NUM_REPLICAS"
    assert places["general_settings.data_dir"] == "environment MANTA_DATA_DIR"
    assert places["ingress.keep_alive_s"] == f"{env_file}:3 MANTA__INGRESS__KEEP_ALIVE_S"
    assert places["search.enabled"] == f"{tmp_path}/manta.yaml:5"
    assert places["model_list.0.params.model"] == f"{tmp_path}/manta.yaml:3"
    assert places["general_settings.host"] == "default"


def test_every_leaf_has_an_origin(catalog_of: Load) -> None:
    catalog = catalog_of(MODEL)

    assert {"search.enabled", "general_settings.allowed_hosts", "model_list.0.engine"} <= set(catalog.origins)
    assert catalog.origins["model_list.0.model_name"].kind == "file"


def test_the_packaged_file_is_the_default() -> None:
    catalog = load(environ={}, env_file=None)

    assert [spec.model_name for spec in catalog.configuration.model_list] == ["starter", "all-MiniLM-L6-v2"]
    assert catalog.origins["model_list.0.model_name"].place.startswith("configs/manta.yaml:")


def test_manta_config_names_the_file(write: Write) -> None:
    path = write("general_settings: {port: 9001}")

    assert load(environ={"MANTA_CONFIG": str(path)}, env_file=None).configuration.general_settings.port == 9001


def test_a_given_path_beats_manta_config(write: Write) -> None:
    path = write("general_settings: {port: 9001}")

    catalog = load(path, environ={"MANTA_CONFIG": "/nowhere/manta.yaml"}, env_file=None)
    assert catalog.configuration.general_settings.port == 9001


def test_the_usual_env_file_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MANTA__GENERAL_SETTINGS__PORT=9002\n")
    monkeypatch.chdir(tmp_path)

    assert load(environ={}).configuration.general_settings.port == 9002


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTA__GENERAL_SETTINGS__PORT", "9003")

    assert load(env_file=None).configuration.general_settings.port == 9003


def test_an_empty_file_gives_the_defaults(catalog_of: Load) -> None:
    for text in ("", "# nothing\n", "null\n"):
        assert catalog_of(text).configuration.model_list == ()


def test_a_section_left_empty_is_as_good_as_absent(catalog_of: Load) -> None:
    catalog = catalog_of(MODEL + "    engine:\n      # max_model_len: 4096\nsearch:\n")

    assert catalog.configuration.model_list[0].engine == {}
    assert catalog.origins["search.enabled"].kind == "default"


@pytest.mark.parametrize("name", ["one", "tuned"])
def test_model_answers_to_its_own_and_its_adapters_names(name: str, catalog_of: Load) -> None:
    catalog = catalog_of(MODEL + "    adapters: [{name: tuned, path: /srv/tuned}]\n")

    assert catalog.model(name).model_name == "one"


def test_a_model_that_is_not_there(catalog_of: Load) -> None:
    with pytest.raises(ModelNotFound, match="'two'"):
        catalog_of(MODEL).model("two")


def test_nothing_changes_after_loading(catalog_of: Load) -> None:
    catalog = catalog_of(MODEL + "    engine: {hf_overrides: {a: [1]}}\n")
    spec = catalog.configuration.model_list[0]

    with pytest.raises(AttributeError):
        catalog.configuration = catalog.configuration  # type: ignore[misc]  # that is what is refused
    with pytest.raises(ValidationError, match="frozen"):
        setattr(catalog.configuration.general_settings, "port", 1)  # noqa: B010  (mypy refuses the plain form too)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(catalog.settings, "hf_hub_offline", True)  # noqa: B010
    with pytest.raises(TypeError, match="frozen"):
        spec.engine["seed"] = 1
    with pytest.raises(TypeError, match="frozen"):
        spec.engine["hf_overrides"]["a"] = 2
    with pytest.raises(TypeError, match="frozen"):
        catalog.origins["x"] = catalog.origins["search.enabled"]  # type: ignore[index]  # that is what is refused


def test_engine_arguments_are_plain_copies(catalog_of: Load) -> None:
    spec = catalog_of(MODEL + "    engine: {hf_overrides: {a: [1]}}\n").configuration.model_list[0]
    arguments = spec.engine_arguments
    arguments["hf_overrides"]["a"].append(2)

    assert spec.engine_arguments == {"hf_overrides": {"a": [1]}}


def test_the_catalog_crosses_process_borders(catalog_of: Load) -> None:
    catalog = catalog_of(MODEL + "    engine: {seed: 1}\n", environ={"HF_TOKEN": "canary"})

    assert pickle.loads(pickle.dumps(catalog)) == catalog


def test_validate_of_a_good_file_is_empty() -> None:
    assert validate(environ={}, env_file=None) == []


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: there is no such file"):
        load(tmp_path / "absent.yaml", environ={}, env_file=None)
    with pytest.raises(ConfigurationError, match="it is not a file"):
        load(tmp_path, environ={}, env_file=None)
    with pytest.raises(ConfigurationError, match=r"there is no file '.*absent\.env'"):
        load(environ={}, env_file=tmp_path / "absent.env")


def test_all_levels_report_at_once(problems_of: Problems) -> None:
    found = problems_of(
        "general_settings:\n  prot: 1\n",
        flags={"log-level": "loud"},
        environ={"MANTA__INGRESS__NUM_REPLICA": "2", "HF_HUB_OFFLINE": "perhaps"},
    )

    assert found == [
        "manta.yaml:2:3: key 'prot' is not known here; did you mean 'port'?",
        "environment HF_HUB_OFFLINE: it must be true or false",
        "environment MANTA__INGRESS__NUM_REPLICA: key 'num_replica' is not known here; did you mean 'num_replicas'?",
        "flag --log-level: 'log_level' must be 'debug', 'info', 'warning' or 'error' (got 'loud')",
    ]
