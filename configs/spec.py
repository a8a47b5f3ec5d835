"""The base of every shape of the YAML, and the kinds of value that many of them have."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from configs import forms


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        message = "its ~ names no home folder"
        raise ValueError(message) from error


def _from_here(path: Path) -> Path:
    return path.absolute()


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        message = f"{text!r} is no network; write it like 10.0.0.0/8, or one address"
        raise ValueError(message) from error
    if network.prefixlen == 0:
        message = f"{text!r} is everybody; name the networks that your proxies are in"
        raise ValueError(message)
    return str(network)


Origin = Annotated[str, StringConstraints(pattern=forms.ORIGIN)]
LocalPath = Annotated[Path, AfterValidator(_at_home)]
SharedPath = Annotated[LocalPath, AfterValidator(_from_here)]
"""A path that processes with other working directories read too: it counts from that of the first."""
Network = Annotated[str, AfterValidator(_network)]


class Spec(BaseModel):
    """Base of every shape: unknown keys are errors and values never change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
