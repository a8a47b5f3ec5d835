from pathlib import Path

import pytest

from configs.catalog import load
from configs.environment import Variable, from_process
from configs.errors import ConfigurationError
from configs.origin import Origin, Spot
from configs.origins import show
from configs.redact import MASK
from configs.settings import NAMES, SECRETS, Settings
from tests.configs.conftest import MODEL, Load, Problems

CANARY = "canary-6f1d"
VALUES = {
    "DATABASE_URL": f"postgresql://manta:{CANARY}@db.example.com/manta",
    "DATABASE_READ_URL": f"postgresql://manta:{CANARY}@replica.example.com/manta",
    "REDIS_URL": f"rediss://:{CANARY}@cache.example.com/0",
    "HF_TOKEN": f"hf_{CANARY}",
    "MANTA_API_KEY": f"sk-{CANARY}",
}


BESIDE = {"DATABASE_READ_URL": {"DATABASE_URL": VALUES["DATABASE_URL"]}}
"""What must be set too."""


def value(settings: Settings, name: str) -> str:
    secret = getattr(settings, name.lower())
    assert secret is not None
    return str(secret.get_secret_value())


def test_the_secrets_are_those_of_the_type() -> None:
    typed = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}

    assert typed == set(SECRETS) == set(VALUES)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_from_the_environment(name: str) -> None:
    catalog = load(environ={name: VALUES[name]} | BESIDE.get(name, {}), env_file=None)

    assert value(catalog.settings, name) == VALUES[name]
    assert catalog.origins[name].place == f"environment {name}"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_from_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{VALUES[name]}\n")
    catalog = load(environ={f"{name}_FILE": str(tmp_path / "secret")} | BESIDE.get(name, {}), env_file=None)

    assert value(catalog.settings, name) == VALUES[name]
    assert catalog.origins[name].place == f"environment {name}_FILE"


def test_the_environment_beats_the_env_file_for_secrets_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-environment")
    (tmp_path / "x.env").write_text("HF_TOKEN=from-env-file\nHF_HOME=/srv/hf\n")
    catalog = load(environ={"HF_TOKEN_FILE": str(tmp_path / "secret")}, env_file=tmp_path / "x.env")

    assert value(catalog.settings, "HF_TOKEN") == "from-environment"
    assert catalog.settings.hf_home == Path("/srv/hf")
    assert catalog.origins["HF_HOME"].place == f"{tmp_path}/x.env:2 HF_HOME"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file '"),
        (b"", "' is empty"),
        (b"\n", "' is empty"),
        (b"\xff\xfe", "' is not UTF-8 text"),
        (b"x" * 70_000, "' is larger than 65536 bytes"),
        (b"a\0b", "its value is not UTF-8 text"),
    ],
)
def test_a_secret_file_that_does_not_do(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)

    with pytest.raises(ConfigurationError) as error:
        load(environ={"HF_TOKEN_FILE": str(tmp_path / "secret")}, env_file=None)
    assert error.value.message.startswith("environment HF_TOKEN_FILE: ")
    assert message in error.value.message


def test_a_secret_given_twice(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)
    with pytest.raises(ConfigurationError) as error:
        load(environ={"HF_TOKEN": CANARY, "HF_TOKEN_FILE": str(tmp_path / "secret")}, env_file=None)

    assert error.value.message == "environment HF_TOKEN_FILE: HF_TOKEN and HF_TOKEN_FILE are both set; keep one"


def test_an_empty_variable_counts_as_not_set() -> None:
    catalog = load(environ=dict.fromkeys([*NAMES, "MANTA__GENERAL_SETTINGS__PORT"], ""), env_file=None)

    assert catalog.settings == Settings()
    assert catalog.configuration.general_settings.port == 8000


@pytest.mark.parametrize("text", ["1", "true", "ON", "yes"])
def test_offline_is_spelled_as_the_hub_spells_it(text: str) -> None:
    assert load(environ={"HF_HUB_OFFLINE": text}, env_file=None).settings.hf_hub_offline


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DATABASE_URL", "it must begin with postgresql://, postgresql+psycopg:// or postgres://"),
        ("REDIS_URL", "it must begin with redis://, rediss://, unix://, valkey:// or valkeys://"),
        ("MANTA_URL", "it must begin with http:// or https://"),
        ("HF_HUB_OFFLINE", "it must be true or false"),
    ],
)
def test_a_wrong_setting_is_not_repeated(name: str, message: str, problems_of: Problems) -> None:
    assert problems_of("", environ={name: f"mysql:{CANARY}"}) == [f"environment {name}: {message}"]


def test_a_replica_needs_what_it_replicates(problems_of: Problems) -> None:
    (problem,) = problems_of("", environ={"DATABASE_READ_URL": VALUES["DATABASE_READ_URL"]})
    assert problem == (
        "environment DATABASE_READ_URL: it names a replica of DATABASE_URL, which is not set; set both or none"
    )


@pytest.mark.parametrize("line", ["HF_TOKEN='unfinished", "HF TOKEN=x", "=x"])
def test_a_line_that_is_no_assignment(line: str, tmp_path: Path, problems_of: Problems) -> None:
    (tmp_path / "x.env").write_text(f"\n# comment\n{line}\n")

    assert problems_of("", env_file=tmp_path / "x.env") == ["x.env:3: this line is not NAME=value"]


def test_secrets_are_in_no_text_that_we_make(catalog_of: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(VALUES["MANTA_API_KEY"])
    environ = {**VALUES, "MANTA_API_KEY_FILE": str(tmp_path / "secret")}
    del environ["MANTA_API_KEY"]
    catalog = catalog_of(
        MODEL + "    engine:\n"
        f"      additional_config: {{password: {CANARY}, api_key: {CANARY}, url: 'https://me:{CANARY}@example.com/x'}}\n"
        "      return_tokens_as_token_ids: true\n",
        environ=environ,
    )
    rows = {row.path: row for row in show(catalog)}

    assert CANARY not in str(show(catalog)) + repr(catalog.settings) + str(catalog.settings)
    assert CANARY not in catalog.settings.model_dump_json()
    assert all(rows[name].value == MASK for name in SECRETS)
    assert rows["MANTA_API_KEY"].origin == "environment MANTA_API_KEY_FILE"
    assert rows["model_list.0.engine.additional_config.url"].value == f"https://{MASK}@example.com/x"
    assert rows["model_list.0.engine.return_tokens_as_token_ids"].value == "true"
    assert CANARY not in repr(from_process(VALUES))


def test_secrets_are_in_no_problem(problems_of: Problems) -> None:
    found = problems_of(
        MODEL + f"    engine: {{hf_token: {CANARY}, api_key: [{CANARY}], revision: [{CANARY}]}}\n"
        f"hf_token: {CANARY}\n"
        "general_settings:\n"
        f"  public_url: https://me:{CANARY}@example.com/path\n",
        environ={name: f"x{text}" for name, text in VALUES.items()},
    )

    assert len(found) == 8
    assert CANARY not in "\n".join(found)


def test_show_lists_every_leaf_with_its_place() -> None:
    catalog = load(flags={"port": 9000}, environ={}, env_file=None)
    rows = {row.path: (row.value, row.origin) for row in show(catalog)}

    assert rows["general_settings.port"] == ("9000", "flag --port")
    assert rows["general_settings.data_dir"] == ("null", "default")
    assert rows["general_settings.allowed_hosts"] == ("[]", "default")
    assert rows["model_list.1.engine"] == ("{}", "default")
    assert rows["model_list.1.kind"] == ("embedding", "configs/manta.yaml:16")
    assert rows["search.enabled"] == ("true", "default")
    assert rows["DATABASE_URL"] == ("null", "default")
    assert set(NAMES) <= set(rows)


def test_a_variable_does_not_show_its_text() -> None:
    variable = Variable("HF_TOKEN", CANARY, Spot(Origin("environment", "environment HF_TOKEN")))

    assert repr(variable) == "Variable('HF_TOKEN', ..., 'environment HF_TOKEN')"


def test_the_keyring_is_named_by_a_file_or_a_command() -> None:
    command = '["kms", "read", "manta keys"]'
    assert load(environ={"MANTA_MASTER_KEY_COMMAND": command}, env_file=None).settings.manta_master_key_command == (
        "kms",
        "read",
        "manta keys",
    )
    both = {"MANTA_MASTER_KEY_FILE": "/etc/manta/keys", "MANTA_MASTER_KEY_COMMAND": command}
    for environ in (both, {"MANTA_MASTER_KEY_COMMAND": "kms read"}, {"MANTA_MASTER_KEY_COMMAND": "[]"}):
        with pytest.raises(ConfigurationError, match="MANTA_MASTER_KEY_COMMAND"):
            load(environ=environ, env_file=None)
