"""The shape of one sign-in provider in the YAML: Google, GitHub, or anything that speaks OpenID Connect.

What a provider of a kind needs is checked here, so that a start says it and not a person's first sign-in. How a kind is
spoken to is known by its file in `api/identity/providers`.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from configs import forms
from configs.faults import Fault, refuse
from configs.spec import LocalPath, Spec

ProviderName = Annotated[str, StringConstraints(pattern=forms.PROVIDER_NAME)]
SecureUrl = Annotated[str, StringConstraints(pattern=forms.SECURE_URL, max_length=512)]
Scope = Annotated[str, StringConstraints(pattern=forms.SCOPE)]

GITHUB_URL = "https://github.com"
GITHUB_API_URL = "https://api.github.com"
SCOPES = {"oidc": ("openid", "email", "profile"), "github": ("read:user", "user:email")}


class ProviderSpec(Spec):
    """One button on the login page. The redirect URI to register is `<public_url>/api/auth/oidc/<name>/callback`."""

    name: ProviderName = Field(description="its name in our addresses; identities hang on the issuer, not on it")
    kind: Literal["oidc", "github"] = Field("oidc", description="`oidc` for Google and all that have a discovery page")
    label: str | None = Field(None, min_length=1, max_length=64, description="the words on the button; unset: the name")
    issuer: SecureUrl | None = Field(
        None, description="`oidc`: the issuer, letter by letter; `github`: the address of an Enterprise server"
    )
    api_url: SecureUrl | None = Field(None, description="`github` only: where its API is, if that does not follow")
    client_id: str = Field(
        min_length=1, max_length=512, pattern=forms.VISIBLE, description="what the provider calls this installation"
    )
    client_secret_file: LocalPath | None = Field(
        None, description="file with the client secret; unset: a public client (`oidc` only)"
    )
    scopes: tuple[Scope, ...] = Field(
        (), max_length=20, description="unset: `openid email profile`, or `read:user user:email` for `github`"
    )
    allow_registration: bool = Field(
        True, description="whether a new person may come in this way, where registering is"
    )

    @property
    def words(self) -> str:
        """What the button says."""
        return self.label or self.name

    @property
    def wanted_scopes(self) -> tuple[str, ...]:
        """The scopes that are asked for."""
        return self.scopes or SCOPES[self.kind]

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        refuse(_oidc_faults(self) if self.kind == "oidc" else _github_faults(self))
        return self


def _oidc_faults(spec: ProviderSpec) -> list[Fault]:
    faults = []
    if spec.issuer is None:
        text = "an 'oidc' provider needs its 'issuer', for example 'https://accounts.google.com'"
        faults.append(Fault(("issuer",), text))
    if spec.api_url is not None:
        faults.append(Fault(("api_url",), "'api_url' is for providers of kind 'github'"))
    if spec.scopes and "openid" not in spec.scopes:
        faults.append(Fault(("scopes",), "'scopes' must hold 'openid', else there is no ID token"))
    return faults


def _github_faults(spec: ProviderSpec) -> list[Fault]:
    if spec.client_secret_file is None:
        return [Fault(("client_secret_file",), "GitHub knows no public clients: set 'client_secret_file'")]
    return []


def _different(providers: tuple[ProviderSpec, ...]) -> tuple[ProviderSpec, ...]:
    names = [spec.name for spec in providers]
    refuse(
        Fault((number, "name"), f"provider {name!r} stands twice; give every provider a name of its own")
        for number, name in enumerate(names)
        if name in names[:number]
    )
    return providers


Providers = Annotated[tuple[ProviderSpec, ...], AfterValidator(_different)]
"""What `identity.providers` holds."""
