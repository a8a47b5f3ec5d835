"""For whom a unit of work is."""

from dataclasses import dataclass

DEFAULT_ORGANIZATION = "default"
"""The organization that runs the installation; there is always this one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """An organization, and a person in it where one asks. Row level security shows what these two may see."""

    organization_id: str
    user_id: str = ""


INSTALLATION = Scope(DEFAULT_ORGANIZATION)
"""The installation's own organization, for nobody in particular."""
