"""Signing in with the tests' OpenID provider, which is honest here; `test_oidc_lies.py` has the rest."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.fetch import Fetcher
from api.identity.providers import load_all
from api.identity.providers.oidc import create
from api.identity.providers.protocol import Ceremony, Identity, Provider
from configs.errors import ConfigurationError
from configs.provider_specs import ProviderSpec
from tests.fixtures.oidc_lies import CLIENT_ID, Lie
from tests.fixtures.oidc_provider import SECRET, OidcProvider, oidc_provider
from tests.fixtures.sign_in import REDIRECT_URI, fetching, query_of, sign_in, visit

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with fetching() as made:
        yield made


def provider_at(idp: OidcProvider, fetcher: Fetcher, **keys: Any) -> Provider:
    secret = None if idp.public_client else SECRET
    return create(ProviderSpec(name="test", issuer=idp.issuer, client_id=CLIENT_ID, **keys), secret, fetcher)


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_signing_in(fetcher: Fetcher, alg: str) -> None:
    async with oidc_provider(alg=alg) as idp:
        identity = await sign_in(provider_at(idp, fetcher))
    assert identity == Identity(
        idp.issuer, idp.person.subject, "jane@example.com", email_verified=True, name="Jane Doe"
    )


@pytest.mark.parametrize("client", [{"public_client": True}, {"posted_secret": True}, {}])
async def test_each_way_to_prove_who_we_are(fetcher: Fetcher, client: dict[str, bool]) -> None:
    async with oidc_provider(**client) as idp:
        assert (await sign_in(provider_at(idp, fetcher))).subject == idp.person.subject


async def test_the_address_carries_no_secret_but_state_and_nonce(fetcher: Fetcher) -> None:
    ceremony = Ceremony.begin()
    async with oidc_provider() as idp:
        url = await provider_at(idp, fetcher, scopes=("openid", "email")).authorization_url(REDIRECT_URI, ceremony)
    assert ceremony.verifier not in url
    assert query_of(url) == {
        "lang": "en", "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI,
        "scope": "openid email", "state": ceremony.state, "nonce": ceremony.nonce,
        "code_challenge": ceremony.challenge, "code_challenge_method": "S256",
    }  # fmt: skip


def test_a_ceremony_is_made_of_chance() -> None:
    made = [Ceremony.begin() for _ in range(100)]
    secrets = {text for one in made for text in (one.state, one.nonce, one.verifier)}
    assert len(secrets) == 300
    assert all(len(text) == 43 for text in secrets)


async def test_the_discovery_page_and_the_keys_are_read_once(fetcher: Fetcher) -> None:
    async with oidc_provider() as idp:
        provider = provider_at(idp, fetcher)
        for _ in range(3):
            await sign_in(provider)
        assert idp.asked == {
            "/.well-known/openid-configuration": 1, "/jwks": 1, "/authorize": 3, "/token": 3,
        }  # fmt: skip


async def test_new_keys_are_found_and_unknown_ones_do_not_make_us_ask_again_and_again(fetcher: Fetcher) -> None:
    now = 0.0
    async with oidc_provider() as idp:
        spec = ProviderSpec(name="test", issuer=idp.issuer, client_id=CLIENT_ID)
        provider = create(spec, SECRET, fetcher, lambda: now)
        await sign_in(provider)
        for asked, key_name in ((2, "two"), (2, "two"), (2, "three")):
            idp.key_name = key_name
            if key_name == "three":
                with pytest.raises(Exception, match="not signed with a key of its own"):
                    await sign_in(provider)
            else:
                await sign_in(provider)
            assert idp.asked["/jwks"] == asked
        now = 60.0
        await sign_in(provider)
        assert idp.asked["/jwks"] == 3


async def test_an_old_discovery_page_and_old_keys_are_read_again(fetcher: Fetcher) -> None:
    now = 0.0
    async with oidc_provider() as idp:
        spec = ProviderSpec(name="test", issuer=idp.issuer, client_id=CLIENT_ID)
        provider = create(spec, SECRET, fetcher, lambda: now)
        await sign_in(provider)
        now = 3600.0
        await sign_in(provider)
        assert (idp.asked["/.well-known/openid-configuration"], idp.asked["/jwks"]) == (2, 2)


async def test_an_email_that_nobody_verified_is_not_called_verified(fetcher: Fetcher) -> None:
    async with oidc_provider(lies={Lie.UNVERIFIED}) as idp:
        identity = await sign_in(provider_at(idp, fetcher))
    assert (identity.email, identity.email_verified) == ("jane@example.com", False)


async def test_verified_may_be_said_as_text(fetcher: Fetcher) -> None:
    async with oidc_provider(lies={Lie.VERIFIED_TEXT}) as idp:
        assert (await sign_in(provider_at(idp, fetcher))).email_verified


async def test_what_the_token_leaves_out_comes_from_the_user_info(fetcher: Fetcher) -> None:
    async with oidc_provider(lies={Lie.USERINFO_ONLY}) as idp:
        asked = await sign_in(provider_at(idp, fetcher))
        unasked = await sign_in(provider_at(idp, fetcher, scopes=("openid",)))
    assert (asked.email, asked.email_verified, asked.name) == ("jane@example.com", True, "Jane Doe")
    assert (unasked.email, unasked.email_verified, unasked.name) == (None, False, None)
    assert idp.asked["/userinfo"] == 1


@pytest.mark.parametrize(
    ("email", "kept"),
    [("JANE@example.com", "jane@example.com"), ("no address", None), ("@example.com", None), ("a@", None),
     ("a b@example.com", None), ("a\n@example.com", None), ("a" * 250 + "@example.com", None)],
)  # fmt: skip
async def test_an_email_is_kept_only_if_it_looks_like_one(fetcher: Fetcher, email: str, kept: str | None) -> None:
    async with oidc_provider() as idp:
        idp.person.email = email
        identity = await sign_in(provider_at(idp, fetcher))
    assert (identity.email, identity.email_verified) == (kept, kept is not None)


async def test_providers_are_loaded_by_kind_with_their_secrets(fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    async with oidc_provider() as idp:
        specs = [
            ProviderSpec(name="one", issuer=idp.issuer, client_id=CLIENT_ID, client_secret_file=tmp_path / "secret"),
            ProviderSpec(name="two", kind="github", client_id="x", client_secret_file=tmp_path / "secret"),
        ]
        providers = load_all(specs, fetcher)
        assert list(providers) == ["one", "two"]
        assert (await sign_in(providers["one"])).subject == idp.person.subject


@pytest.mark.parametrize("content", [None, b"", b" \n", b"two\nlines", b"\xff", b"x" * 5000])
def test_a_secret_file_must_hold_a_secret(fetcher: Fetcher, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    spec = ProviderSpec(name="one", issuer="https://example.com", client_id="x", client_secret_file=path)
    with pytest.raises(ConfigurationError, match="secret file"):
        load_all([spec], fetcher)


async def test_a_code_is_exchanged_once(fetcher: Fetcher) -> None:
    ceremony = Ceremony.begin()
    async with oidc_provider() as idp:
        provider = provider_at(idp, fetcher)
        back = await visit(await provider.authorization_url(REDIRECT_URI, ceremony))
        await provider.identity(back["code"], REDIRECT_URI, ceremony, back["iss"])
        with pytest.raises(Exception, match="did not accept the code"):
            await provider.identity(back["code"], REDIRECT_URI, ceremony, back["iss"])
