"""The shape of `identity:` in the YAML: who may have an account, and how people sign in."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from configs import forms
from configs.faults import Fault, refuse
from configs.provider_specs import Providers
from configs.spec import LocalPath, Origin, Spec

Address = Annotated[str, StringConstraints(pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=254)]
Landing = Annotated[str, StringConstraints(pattern=forms.LANDING, max_length=512)]
LOCAL = {"localhost", "127.0.0.1", "::1"}


class SmtpSpec(Spec):
    """A mail server. Without one no mail is sent, and links are handed over by an admin."""

    host: str = Field(min_length=1, max_length=255, description="its name or address")
    port: int = Field(587, ge=1, le=65535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="`none` on this machine only")
    username: str | None = Field(None, max_length=255, description="account; unset: none")
    password_file: LocalPath | None = Field(None, description="file with the account's password")
    sender: Address = Field(description="the address that mails come from")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.security == "none" and self.host not in LOCAL:
            refuse([Fault(("security",), "'none' would show passwords' links to the network: use 'starttls' or 'tls'")])
        if (self.username is None) != (self.password_file is None):
            refuse([Fault(("username",), "'username' and 'password_file' go together")])
        return self


class IdentitySpec(Spec):
    """Accounts."""

    registration: Literal["open", "invite", "closed"] | None = Field(
        None,
        description="who may make an account; unset: `open` on this machine alone, else `invite`",
    )
    access_token_s: int = Field(600, ge=30, le=600, description="seconds that an access token lives")
    session_days: int = Field(30, ge=1, le=365, description="days that a sign-in lasts without being used")
    session_max_days: int = Field(180, ge=1, le=3650, description="days that a sign-in lasts at most, used or not")
    smtp: SmtpSpec | None = Field(None, description="the server that sends mails")
    providers: Providers = Field((), max_length=32, description="Google, GitHub and others that people sign in with")
    after_login_url: Landing | None = Field(
        None, description="where a browser goes after signing in with a provider; unset: it gets the token as JSON"
    )
    providers_proxy: Origin | None = Field(
        None, description="HTTP proxy for asking the providers; unset: none, whatever the environment says"
    )
