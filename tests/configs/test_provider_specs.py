from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from configs.identity_specs import IdentitySpec
from configs.provider_specs import Providers, ProviderSpec

OIDC: dict[str, Any] = {"name": "google", "issuer": "https://accounts.google.com", "client_id": "x"}
SECURE, PLAIN = "https://", "http://"
GITHUB: dict[str, Any] = {"name": "github", "kind": "github", "client_id": "x", "client_secret_file": Path("secret")}


def test_defaults() -> None:
    google, github = ProviderSpec(**OIDC), ProviderSpec(**GITHUB)
    assert (google.kind, google.words, google.allow_registration) == ("oidc", "google", True)
    assert google.wanted_scopes == ("openid", "email", "profile")
    assert github.wanted_scopes == ("read:user", "user:email")
    assert ProviderSpec(**OIDC, label="Log in").words == "Log in"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://example.com",
        "https://example.com:8443/realms/a/",
        "http://127.0.0.1:9",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_issuers(issuer: str) -> None:
    assert ProviderSpec(**{**OIDC, "issuer": issuer}).issuer == issuer


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://example.com"}, {"issuer": "example.com"}, {"issuer": None},
        {"issuer": SECURE + "u@example.com"},
        {"issuer": "https://example.com/?a"}, {"issuer": "https://example.com/#a"}, {"issuer": "javascript:alert(1)"},
        {"issuer": PLAIN + "127.0.0.1.example.com"}, {"issuer": "https://example.com\\@a.example.com"},
        {"name": "Google"}, {"name": ""}, {"name": "a/b"}, {"name": "a" * 33}, {"kind": "saml"}, {"client_id": ""},
        {"client_id": "a b"}, {"scopes": ("email",)}, {"scopes": ("openid", "a b")}, {"api_url": "https://example.com"},
        {"label": ""}, {"unknown": 1},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProviderSpec(**{**OIDC, **change})


def test_github_needs_a_secret() -> None:
    with pytest.raises(ValidationError, match="client_secret_file"):
        ProviderSpec(name="github", kind="github", client_id="x")


@pytest.mark.parametrize(
    "url", ["/", "/chat", "/a/b#c", "https://example.com", "https://example.com/x", "http://localhost:1/"]
)
def test_where_a_browser_lands(url: str) -> None:
    assert IdentitySpec(after_login_url=url).after_login_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat",
        "//example.com",
        "/\\example.com",
        "http://example.com",
        "javascript:alert(1)",
        "/a?b",
        "/a\nb",
        "/a b",
    ],
)
def test_where_no_browser_lands(url: str) -> None:
    with pytest.raises(ValidationError):
        IdentitySpec(after_login_url=url)


def test_names_differ() -> None:
    providers = TypeAdapter(Providers)
    assert len(providers.validate_python([OIDC, GITHUB])) == 2
    with pytest.raises(ValidationError, match="stands twice"):
        providers.validate_python([OIDC, OIDC])
