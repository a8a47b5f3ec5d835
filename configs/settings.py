"""What comes from the environment or `.env` only: addresses with passwords, tokens, where the YAML and the data are.

Everything else stands in the YAML (`configs.specs`), whose keys `MANTA__SECTION__KEY` overrides. Each secret may also
come from a file named by `<NAME>_FILE`. Secrets are `SecretStr` and appear in no message.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configs.environment import Variable, Variables, secret
from configs.origin import Origin
from configs.problems import Problem, Refused
from configs.suggest import any_of
from configs.yaml_source import is_clean


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in schemes)):
            message = f"it must begin with {any_of([f'{scheme}://' for scheme in schemes])}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _for_libpq(value: SecretStr) -> SecretStr:
    return SecretStr(value.get_secret_value().replace("postgresql+psycopg://", "postgresql://", 1))


def _argument_list(value: object) -> list[str]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, list | tuple) or not found or not all(isinstance(each, str) and each for each in found):
        message = 'it must be a JSON list of the program and its arguments, like ["cat", "/etc/manta/master_keys"]'
        raise ValueError(message)
    return list(found)


PostgresUrl = Annotated[
    SecretStr, _with_scheme("postgresql", "postgresql+psycopg", "postgres"), AfterValidator(_for_libpq)
]
"""SQLAlchemy's form is taken too; it is kept as the one that every client understands."""


class Settings(BaseSettings):
    """The environment's own settings, read by `read`; frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: PostgresUrl | None = Field(
        None, description="PostgreSQL to use; unset: one of its own in the data directory"
    )
    database_read_url: PostgresUrl | None = Field(
        None,
        description="streaming replica of `DATABASE_URL` that answers long reads, as the same account; unset: none",
    )
    redis_url: Annotated[SecretStr, _with_scheme("redis", "rediss", "unix", "valkey", "valkeys")] | None = Field(
        None, description="Valkey or Redis to use; unset: one of its own in the data directory"
    )
    hf_token: SecretStr | None = Field(None, description="token for gated or private models of the Hugging Face hub")
    hf_home: Path | None = Field(None, description="folder of Hugging Face's caches")
    hf_hub_offline: bool = Field(False, description="never ask the hub; take what is in the cache")
    manta_config: Path | None = Field(None, description="the YAML to read when no `--config` is given")
    manta_data_dir: Path | None = Field(None, description="short for `MANTA__GENERAL_SETTINGS__DATA_DIR`")
    manta_master_key_file: Path | None = Field(
        None, description="keyring of what is stored encrypted; unset: `secrets/master_keys` in the data directory"
    )
    manta_master_key_command: Annotated[tuple[str, ...], BeforeValidator(_argument_list)] | None = Field(
        None, description="program that prints that keyring, a JSON list of its arguments: a client of your KMS"
    )
    manta_api_key: SecretStr | None = Field(None, description="key that the command line sends as a client")
    manta_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = Field(
        None, description="server that the command line talks to, for example http://127.0.0.1:8000"
    )

    @field_validator("database_read_url", mode="after")
    @classmethod
    def _replica_of_one(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and "database_url" in info.data and info.data["database_url"] is None:
            message = "it names a replica of DATABASE_URL, which is not set; set both or none"
            raise ValueError(message)
        return value

    @field_validator("manta_master_key_command", mode="after")
    @classmethod
    def _one_keyring(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if value is not None and info.data.get("manta_master_key_file") is not None:
            message = "MANTA_MASTER_KEY_FILE is set too; keep one"
            raise ValueError(message)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (pydantic-settings' signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `read` hands in: it reads the same sources, but knows `_FILE` and remembers the places."""
        return (init_settings,)


NAMES: tuple[str, ...] = tuple(name.upper() for name in Settings.model_fields)
SECRETS: tuple[str, ...] = ("DATABASE_URL", "DATABASE_READ_URL", "REDIS_URL", "HF_TOKEN", "MANTA_API_KEY")


def read(levels: list[Variables]) -> tuple[Settings | None, dict[str, Origin], list[Problem]]:
    """The settings with the origin of each that is set, or the problems. `levels`: strongest first."""
    problems: list[Problem] = []
    found = dict(_strongest(levels, problems))
    try:
        settings = Settings.model_validate({name.lower(): variable.text for name, variable in found.items()})
    except ValidationError as error:
        problems += [_problem(dict(each), found) for each in error.errors(include_url=False, include_input=False)]
        return None, {}, problems
    origins = {name: variable.spot.origin for name, variable in found.items()}
    return (None if problems else settings), origins, problems


def _strongest(levels: list[Variables], problems: list[Problem]) -> Iterator[tuple[str, Variable]]:
    for name in NAMES:
        for variables in levels:
            try:
                variable = secret(name, variables) if name in SECRETS else variables.get(name)
            except Refused as refused:
                problems.append(refused.problem)
                break
            if variable is not None and is_clean(variable.text):
                yield name, variable
            elif variable is not None:
                problems.append(Problem(variable.spot, "its value is not UTF-8 text"))
            if variable is not None:
                break


WANTED = {
    "bool_parsing": "it must be true or false",
    "string_pattern_mismatch": "it must begin with http:// or https://",
}


def _problem(error: dict[str, Any], found: Variables) -> Problem:
    own = error.get("ctx", {}).get("error")
    variable = found[str(error["loc"][0]).upper()]
    return Problem(variable.spot, str(own) if own else WANTED.get(error["type"], error["msg"]))
