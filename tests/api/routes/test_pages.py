"""The page that links lead to."""

from tests.fixtures.application import Application


async def test_the_welcome_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(app: Application) -> None:
    async with app.client() as http:
        page = await http.get("/welcome")
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "://" not in page.text
        assert "<script>" not in page.text
        for path in ("/welcome.js", "/welcome.css"):
            assert path in page.text
            assert (await http.get(path)).status_code == 200
