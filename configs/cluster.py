"""What every process of a running cluster must know, in one file that only its owner can read.

The launcher (or a mounted secret on Kubernetes) writes it; MANTA_CLUSTER names it. So no secret stands in an
environment or on a command line, and every replica sees the same frozen configuration.
"""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_serializer

from configs.errors import ConfigurationError
from configs.keyring import Keyring
from configs.spec import Spec
from configs.specs import Configuration

VARIABLE = "MANTA_CLUSTER"


class Cluster(Spec):
    """Addresses, secrets and the configuration."""

    data_dir: Path
    database_url: SecretStr = Field(description="as the application's role")
    database_read_url: SecretStr | None = Field(None, description="of a streaming replica, for long reads; unset: none")
    jobs_url: SecretStr | None = Field(None, description="as the role of jobs; unset: `database_url`")
    redis_url: SecretStr
    link_secret: SecretStr
    master_keys: Path = Field(
        default_factory=lambda given: given["data_dir"] / "secrets" / "master_keys",
        description="keyring of what is stored encrypted",
    )
    master_key_command: tuple[str, ...] = Field((), description="prints that keyring instead: an argument list")
    token_keys: Path = Field(
        default_factory=lambda given: given["data_dir"] / "secrets" / "token_keys",
        description="keyring that signs access tokens",
    )
    token_key_command: tuple[str, ...] = Field((), description="prints that keyring instead: an argument list")
    link_certificate: Path | None = Field(None, description="needed as soon as there is a second machine")
    link_key: Path | None = None
    port_socket: Path | None = Field(None, description="where the launcher hands over the front port")
    configuration: Configuration

    @field_serializer("database_url", "database_read_url", "jobs_url", "redis_url", "link_secret", when_used="json")
    def _reveal(self, value: SecretStr | None) -> str | None:
        return value.get_secret_value() if value is not None else None

    @property
    def link_tls(self) -> tuple[Path, Path]:
        """Certificate and key for links between machines.

        Raises:
            ConfigurationError: there is more than one machine and no certificate.
        """
        if self.link_certificate is None or self.link_key is None:
            msg = "replicas on several machines need link_certificate and link_key in the cluster file"
            raise ConfigurationError(msg)
        return self.link_certificate, self.link_key

    def masters(self) -> Keyring:
        """The keyring of what is stored encrypted; it is read at its first use."""
        return Keyring.of_command(self.master_key_command) if self.master_key_command else Keyring.at(self.master_keys)

    def tokens(self) -> Keyring:
        """The keyring that signs access tokens; it is read at its first use."""
        return Keyring.of_command(self.token_key_command) if self.token_key_command else Keyring.at(self.token_keys)

    @classmethod
    def from_environment(cls) -> Self:
        """The cluster that this process belongs to.

        Raises:
            ConfigurationError: MANTA_CLUSTER is not set, or its file cannot be read.
        """
        path = os.environ.get(VARIABLE)
        if not path:
            msg = f"{VARIABLE} is not set: it names the file that `manta serve` writes (a cluster: k8s/rayservice.yaml)"
            raise ConfigurationError(msg)
        return cls.read(Path(path))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file that `write` made."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            msg = f"the cluster file {path} cannot be used ({type(error).__name__})"
            raise ConfigurationError(msg) from error

    def write(self, path: Path) -> None:
        """Write for this owner's eyes only."""
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.model_dump_json().encode())
        temporary.rename(path)
