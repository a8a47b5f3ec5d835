"""The shape of `privacy:` in the YAML: who answers for personal data, and how long it is kept."""

from pydantic import Field

from configs.identity_specs import Address
from configs.spec import Spec


class ControllerSpec(Spec):
    """Who runs this installation, as the privacy policy and the terms name them."""

    name: str = Field("", max_length=200, description="the organization or person")
    address: str = Field("", max_length=500, description="postal address")
    email: Address | None = Field(None, description="where people write to about their data")
    law: str = Field("", max_length=200, description="the law that the terms are under")

    @property
    def complete(self) -> bool:
        """Whether the documents can be shown."""
        return bool(self.name and self.address and self.email and self.law)


class RetentionSpec(Spec):
    """Days after which data is removed, unless an organization sets its own; unset keeps it."""

    conversations: int | None = Field(None, ge=1, le=36500, description="days since a conversation's last change")
    usage: int | None = Field(400, ge=1, le=36500, description="days of usage rows")
    sessions: int | None = Field(90, ge=1, le=36500, description="days after a session's end")


class PrivacySpec(Spec):
    """Personal data."""

    controller: ControllerSpec = Field(ControllerSpec(), description="who answers for it")
    retention: RetentionSpec = Field(RetentionSpec(), description="how long it is kept")
