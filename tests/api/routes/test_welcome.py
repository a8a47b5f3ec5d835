"""The page that links lead to, as people use it: in a browser."""

from playwright.async_api import Page, expect

from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.browser import browser_page, needs_browser
from tests.fixtures.database import query

pytestmark = needs_browser


async def invited(app: Application, fresh: str) -> tuple[Person, str]:
    """The owner of an organization, and the link of an invitation to it."""
    owner = await app.register(f"{fresh}-owner", "owner", f"org_{fresh}")
    answer = await owner.http.post("/api/invitations", json={"role": "member"}, headers=owner.headers)
    return owner, app.origin + answer.json()["link"]


async def shown_key(page: Page) -> str:
    await page.get_by_role("button", name="Make an API key").click()
    await expect(page.locator("#key")).to_be_visible()
    return await page.locator("#key").inner_text()


async def organization_of(app: Application, key: str) -> str:
    async with app.client() as http:
        answer = await http.get("/api/keys", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    ((found,),) = query(app.postgres, "SELECT organization_id FROM api_keys WHERE prefix = %s", key[:11])
    return str(found)


async def test_somebody_new_registers_by_their_invitation(app: Application, fresh: str) -> None:
    _, link = await invited(app, fresh)
    async with browser_page() as page:
        await page.goto(link)
        await page.get_by_label("E-mail").fill(f"{fresh}-new@example.com")
        await page.get_by_label("Name").fill("Somebody")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("#text")).to_have_text("Your account is made, and you are signed in.")
        assert await organization_of(app, await shown_key(page)) == f"org_{fresh}"
        assert "#" not in page.url


async def test_who_has_an_account_joins_with_it(app: Application, fresh: str) -> None:
    person = await app.register(f"{fresh}-elsewhere")
    _, link = await invited(app, fresh)
    async with browser_page() as page:
        await page.goto(link)
        await page.get_by_role("button", name="I have an account").click()
        await expect(page.get_by_label("Name")).to_be_hidden()
        await page.get_by_label("E-mail").fill(person.email)
        await page.get_by_label("Password").fill("not the password")
        await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_role("alert")).not_to_be_empty()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("#text")).to_have_text("You have joined, and you are signed in there.")
        assert await organization_of(app, await shown_key(page)) == f"org_{fresh}"


async def test_a_link_that_was_used_says_so(app: Application, fresh: str) -> None:
    _, link = await invited(app, fresh)
    token = link.partition("=")[2]
    body = {"email": f"{fresh}-first@example.com", "password": PASSWORD, "invitation": token}
    async with app.client() as http:
        assert (await http.post("/api/auth/register", json=body)).status_code == 201
    async with browser_page() as page:
        await page.goto(link)
        await page.get_by_label("E-mail").fill(f"{fresh}-second@example.com")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_role("alert")).to_contain_text("invitation")
        await expect(page.locator("#done")).to_be_hidden()
