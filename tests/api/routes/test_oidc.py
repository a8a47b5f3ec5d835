"""Sign in with a provider that is real, and lies when it is told to: through the front, with a browser's cookies."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, Person, application
from tests.fixtures.database import query
from tests.fixtures.oidc_lies import CLIENT_ID, Lie
from tests.fixtures.oidc_provider import SECRET, OidcProvider, oidc_provider
from tests.fixtures.oidc_provider import Person as Somebody
from tests.fixtures.sign_in import visit


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OidcProvider]:
    async with oidc_provider() as made:
        yield made


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("oidc") / "secret"
    path.touch(mode=0o600)
    path.write_text(SECRET)
    return path


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres, provider: OidcProvider, secret_file: Path) -> AsyncIterator[Application]:
    settings = {
        "name": "test",
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret_file": str(secret_file),
        "allow_registration": True,
    }
    async with application(postgres, identity={"providers": [settings]}) as made:
        yield made


@pytest.fixture
def somebody(provider: OidcProvider, fresh: str) -> Somebody:
    provider.lies = set()
    provider.person = Somebody(f"subject-{fresh}", f"{fresh}-oidc@example.com", "Somebody")
    return provider.person


async def came_back(site: Application, browser: httpx2.AsyncClient, url: str | None = None) -> httpx2.Response:
    """From the button to the way back."""
    if url is None:
        there = await browser.get("/api/auth/oidc/test/login")
        assert there.status_code == 302, there.text
        url = there.headers["location"]
    return await browser.get("/api/auth/oidc/test/callback", params=await visit(url))


async def who(browser: httpx2.AsyncClient, answer: httpx2.Response) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    return dict((await browser.get("/api/auth/me", headers=headers)).json())


async def test_somebody_new_gets_an_account_and_comes_back_to_it(site: Application, somebody: Somebody) -> None:
    async with site.client() as browser:
        listed = (await browser.get("/api/auth/oidc")).json()["data"]
        assert [each["login_url"] for each in listed] == ["/api/auth/oidc/test/login"]
        first = await came_back(site, browser)
        assert first.status_code == 200, first.text
        me = await who(browser, first)
        assert (me["email"], me["email_verified"], me["name"]) == (somebody.email, True, somebody.name)
    somebody.email = "another-address@example.com"
    async with site.client() as elsewhere:
        assert (await who(elsewhere, await came_back(site, elsewhere)))["id"] == me["id"]


async def test_an_address_is_never_enough(site: Application, somebody: Somebody, fresh: str) -> None:
    owner = await site.register(fresh)
    somebody.email = owner.email
    async with site.client() as browser:
        answer = await came_back(site, browser)
    assert (answer.status_code, answer.json()["error"]["param"]) == (409, "email")
    assert query(site.postgres, "SELECT 1 FROM identities WHERE user_id = %s", owner.id) == []


async def linked(site: Application, owner: Person) -> httpx2.Response:
    path = "/api/auth/identities/test/link"
    begun = await owner.http.post(path, json={"password": PASSWORD}, headers=owner.headers)
    assert begun.status_code == 200, begun.text
    return await came_back(site, owner.http, begun.json()["authorization_url"])


async def test_who_is_signed_in_links_and_removes(site: Application, somebody: Somebody, fresh: str) -> None:
    owner = await site.register(fresh)
    somebody.email = owner.email
    made = await linked(site, owner)
    assert made.status_code == 200, made.text
    async with site.client() as browser:
        assert (await who(browser, await came_back(site, browser)))["id"] == owner.id
    path = f"/api/auth/identities/{made.json()['id']}"
    removed = await owner.http.request("DELETE", path, json={"password": PASSWORD}, headers=owner.headers)
    assert removed.status_code == 200, removed.text
    assert (await owner.http.get("/api/auth/identities", headers=owner.headers)).json()["data"] == []


async def test_the_last_way_in_stays(site: Application, somebody: Somebody) -> None:
    async with site.client() as browser:
        headers = {"authorization": f"Bearer {(await came_back(site, browser)).json()['access_token']}"}
        (identity,) = (await browser.get("/api/auth/identities", headers=headers)).json()["data"]
        answer = await browser.delete(f"/api/auth/identities/{identity['id']}", headers=headers)
        assert answer.status_code == 409


async def test_a_login_belongs_to_its_browser_and_counts_once(site: Application, somebody: Somebody) -> None:
    async with site.client() as browser, site.client() as victim:
        there = (await browser.get("/api/auth/oidc/test/login")).headers["location"]
        back = await visit(there)
        assert (await victim.get("/api/auth/oidc/test/callback", params=back)).status_code == 401
        again = await browser.get("/api/auth/oidc/test/callback", params=back)
        assert again.status_code in (200, 401)
        assert (await browser.get("/api/auth/oidc/test/callback", params=back)).status_code == 401


async def test_nobody_registers_where_only_invited_people_may(site: Application, somebody: Somebody) -> None:
    async with site.client(headers={"x-forwarded-for": "10.0.0.1"}) as browser:
        assert (await came_back(site, browser)).status_code == 403
    assert query(site.postgres, "SELECT 1 FROM identities WHERE subject = %s", somebody.subject) == []


async def test_a_disabled_person_stays_out(site: Application, somebody: Somebody) -> None:
    async with site.client() as browser:
        me = await who(browser, await came_back(site, browser))
        query(site.postgres, "UPDATE users SET status = 'disabled' WHERE id = %s", me["id"])
        assert (await came_back(site, browser)).status_code == 403


@pytest.mark.parametrize(
    "lie",
    [
        Lie.OTHER_AUDIENCE,
        Lie.TOKEN_OF_OTHER_ISSUER,
        Lie.ANSWER_OF_OTHER_ISSUER,
        Lie.OTHER_NONCE,
        Lie.ALG_NONE,
        Lie.FORGED,
    ],
)
async def test_a_lie_lets_nobody_in(site: Application, provider: OidcProvider, somebody: Somebody, lie: Lie) -> None:
    provider.lies = {lie}
    async with site.client() as browser:
        answer = await came_back(site, browser)
    assert answer.status_code == 401, answer.text
    assert "access_token" not in answer.text


async def test_an_address_that_nobody_verified_is_not_the_accounts(
    site: Application, provider: OidcProvider, somebody: Somebody
) -> None:
    provider.lies = {Lie.UNVERIFIED}
    async with site.client() as browser:
        assert (await who(browser, await came_back(site, browser)))["email"] is None


async def test_ways_back_that_were_made_up(site: Application, provider: OidcProvider) -> None:
    async with site.client() as browser:
        for params, status in (
            ({}, 400),
            ({"state": "x" * 129}, 400),
            ({"state": "nonsense", "code": "x"}, 401),
        ):
            answer = await browser.get("/api/auth/oidc/test/callback", params=params)
            assert answer.status_code == status
        assert (await browser.get("/api/auth/oidc/none/login")).status_code == 404
    assert urlsplit(provider.issuer).hostname == "127.0.0.1"
