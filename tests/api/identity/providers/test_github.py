from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.fetch import Fetcher
from api.identity.providers.github import GithubProvider, create
from api.identity.providers.protocol import Ceremony, Identity
from configs.errors import SignInRefused, Unavailable
from configs.provider_specs import ProviderSpec
from tests.fixtures.github_provider import CLIENT_ID, SECRET, GithubServer, emails, github_server
from tests.fixtures.sign_in import REDIRECT_URI, fetching, query_of, sign_in, visit


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with fetching() as made:
        yield made


@pytest.fixture
async def github() -> AsyncIterator[GithubServer]:
    async with github_server() as server:
        yield server


def provider_of(fetcher: Fetcher, secret: str = SECRET, **keys: Any) -> GithubProvider:
    file = Path("secret")  # read by `load_all`, which these tests go past
    return create(
        ProviderSpec(name="gh", kind="github", client_id=CLIENT_ID, client_secret_file=file, **keys), secret, fetcher
    )


async def test_signing_in(github: GithubServer, fetcher: Fetcher) -> None:
    identity = await sign_in(provider_of(fetcher, issuer=github.url))
    host = github.url.removeprefix("http://")
    assert identity == Identity(host, "583231", "jane@example.com", email_verified=True, name="jane")


async def test_github_itself_is_the_default(fetcher: Fetcher) -> None:
    ceremony = Ceremony.begin()
    url = await provider_of(fetcher).authorization_url(REDIRECT_URI, ceremony)
    assert url.startswith("https://github.com/login/oauth/authorize?")
    assert query_of(url) == {
        "client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "scope": "read:user user:email", "state": ceremony.state,
        "code_challenge": ceremony.challenge, "code_challenge_method": "S256",
    }  # fmt: skip


@pytest.mark.parametrize(
    "listed",
    [emails(verified=False), emails(primary=False), [], None, {}, [None, 1, {}], [{"primary": True, "verified": True}],
     [{"email": "a@example.com", "primary": 1, "verified": "yes"}]],
)  # fmt: skip
async def test_only_a_primary_and_verified_email_counts(github: GithubServer, fetcher: Fetcher, listed: object) -> None:
    github.emails = listed
    identity = await sign_in(provider_of(fetcher, issuer=github.url))
    assert (identity.email, identity.email_verified) == (None, False), "the public one of the profile neither"


@pytest.mark.parametrize("status", [403, 404])
async def test_without_the_scope_there_is_no_email(github: GithubServer, fetcher: Fetcher, status: int) -> None:
    github.emails_status = status
    assert (await sign_in(provider_of(fetcher, issuer=github.url))).email is None


@pytest.mark.parametrize("user", [{}, {"id": "583231"}, {"id": True}, {"id": 0}, {"id": 1.5}, {"id": None}, [], None])
async def test_without_a_numeric_id_there_is_nobody(github: GithubServer, fetcher: Fetcher, user: object) -> None:
    github.user = user
    with pytest.raises(SignInRefused, match="did not say who"):
        await sign_in(provider_of(fetcher, issuer=github.url))


async def test_a_renamed_account_stays_the_same_person(github: GithubServer, fetcher: Fetcher) -> None:
    provider = provider_of(fetcher, issuer=github.url)
    before = await sign_in(provider)
    github.user = {**github.user, "login": "renamed"}
    after = await sign_in(provider)
    assert (before.issuer, before.subject) == (after.issuer, after.subject)


async def test_another_persons_code_is_refused(github: GithubServer, fetcher: Fetcher) -> None:
    provider, mine, theirs = provider_of(fetcher, issuer=github.url), Ceremony.begin(), Ceremony.begin()
    back = await visit(await provider.authorization_url(REDIRECT_URI, theirs))
    with pytest.raises(SignInRefused, match="did not accept the code"):
        await provider.identity(back["code"], REDIRECT_URI, mine)


async def test_a_replayed_code_is_refused(github: GithubServer, fetcher: Fetcher) -> None:
    provider, ceremony = provider_of(fetcher, issuer=github.url), Ceremony.begin()
    back = await visit(await provider.authorization_url(REDIRECT_URI, ceremony))
    await provider.identity(back["code"], REDIRECT_URI, ceremony)
    with pytest.raises(SignInRefused, match="did not accept the code"):
        await provider.identity(back["code"], REDIRECT_URI, ceremony)


async def test_a_wrong_client_secret_is_refused(github: GithubServer, fetcher: Fetcher) -> None:
    with pytest.raises(SignInRefused):
        await sign_in(provider_of(fetcher, "another", issuer=github.url))


async def test_a_github_that_is_down_is_503(github: GithubServer, fetcher: Fetcher) -> None:
    github.token_status = 502
    with pytest.raises(Unavailable) as raised:
        await sign_in(provider_of(fetcher, issuer=github.url))
    assert raised.value.retry_after_s
