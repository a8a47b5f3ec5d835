"""The base of every shape of the YAML, and the kinds of value that many of them have."""

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


Origin = Annotated[str, StringConstraints(pattern=forms.ORIGIN)]
LocalPath = Annotated[Path, AfterValidator(_at_home)]


class Spec(BaseModel):
    """Base of every shape: unknown keys are errors and values never change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
