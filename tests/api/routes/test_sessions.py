"""Renewing a session by its cookie: copies, repeats, ends, other organizations."""

import asyncio

import httpx2
import pytest

from api.db import privacy
from api.db.session import JOBS_ROLE, Database
from tests.fixtures.application import Application, Person
from tests.fixtures.database import query

COOKIE = "manta_refresh"


async def renewed(app: Application, cookie: str, organization_id: str | None = None) -> httpx2.Response:
    """The answer to a client that has nothing but this cookie."""
    body = {"organization_id": organization_id} if organization_id is not None else None
    async with app.client() as http:
        headers = {"origin": app.origin, "cookie": f"{COOKIE}={cookie}"}
        return await http.post("/api/auth/refresh", json=body, headers=headers)


def cookie_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["set-cookie"].split(";")[0].partition("=")[2]


def bearer(answer: httpx2.Response) -> dict[str, str]:
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def me(app: Application, headers: dict[str, str]) -> httpx2.Response:
    async with app.client() as http:
        return await http.get("/api/auth/me", headers=headers)


@pytest.fixture
async def person(app: Application, fresh: str) -> Person:
    return await app.register(fresh)


async def test_a_session_is_renewed_by_its_cookie(app: Application, person: Person) -> None:
    before = person.http.cookies[COOKIE]
    answer = await person.http.post("/api/auth/refresh", headers={"origin": app.origin})
    assert answer.status_code == 200
    assert person.http.cookies[COOKIE] != before
    assert (await me(app, bearer(answer))).status_code == 200


async def test_a_page_of_another_site_renews_nothing(person: Person) -> None:
    for headers in ({"origin": "https://evil.example.com"}, {"origin": "null"}, {}, {"sec-fetch-site": "cross-site"}):
        assert (await person.http.post("/api/auth/refresh", headers=headers)).status_code == 403
    good = {"sec-fetch-site": "same-origin"}
    assert (await person.http.post("/api/auth/refresh", headers=good)).status_code == 200


async def test_another_programs_cookie_signs_nobody_out(app: Application, person: Person) -> None:
    headers = {"origin": app.origin, "cookie": f'prefs={{"a":1}}; {COOKIE}={person.http.cookies[COOKIE]}; odd'}
    async with app.client() as http:
        assert (await http.post("/api/auth/refresh", headers=headers)).status_code == 200


async def test_a_copy_of_a_refresh_token_ends_the_session(app: Application, person: Person) -> None:
    stolen = person.http.cookies[COOKIE]
    first = await renewed(app, stolen)
    second = await renewed(app, cookie_of(first))
    assert (await renewed(app, stolen)).status_code == 401
    assert (await renewed(app, cookie_of(second))).status_code == 401
    app.services.doorkeeper.forget()
    assert (await me(app, bearer(second))).status_code == 401


async def test_a_repeat_is_answered_for_seconds_only(app: Application, person: Person) -> None:
    lost = person.http.cookies[COOKIE]
    cookie_of(await renewed(app, lost))
    query(app.postgres, "UPDATE refresh_tokens SET used_at = used_at - interval '20 s' WHERE user_id = %s", person.id)
    again = cookie_of(await renewed(app, lost))
    query(app.postgres, "UPDATE refresh_tokens SET used_at = used_at - interval '20 s' WHERE user_id = %s", person.id)
    assert (await renewed(app, lost)).status_code == 401
    assert (await renewed(app, again)).status_code == 401


async def test_two_renewals_at_once_are_one_session(app: Application, person: Person) -> None:
    token = person.http.cookies[COOKIE]
    answers = await asyncio.gather(*(renewed(app, token) for _ in range(4)))
    successors = [cookie_of(answer) for answer in answers]
    assert len(set(successors)) == 4
    newest = cookie_of(await renewed(app, successors[2]))
    # somebody went on from one: who goes on from another holds a copy
    assert (await renewed(app, successors[0])).status_code == 401
    assert (await renewed(app, newest)).status_code == 401


async def test_of_two_successors_used_at_once_one_goes_on(app: Application, person: Person) -> None:
    token = person.http.cookies[COOKIE]
    successors = [cookie_of(await renewed(app, token)) for _ in range(2)]
    answers = await asyncio.gather(*(renewed(app, each) for each in successors))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_old_tokens_are_swept_and_still_end_the_session(app: Application, person: Person) -> None:
    oldest = person.http.cookies[COOKIE]
    newest = oldest
    for _ in range(4):
        newest = cookie_of(await renewed(app, newest))
    query(
        app.postgres, "UPDATE refresh_tokens SET created_at = now() - interval '2 days' WHERE user_id = %s", person.id
    )
    jobs = Database(app.postgres.urls.jobs_url, role=JOBS_ROLE)
    async with jobs.unit() as unit:
        await privacy.sweep(unit)
    await jobs.close()
    left = query(app.postgres, "SELECT number FROM refresh_tokens WHERE user_id = %s ORDER BY number", person.id)
    assert left == [(3,), (4,)]
    newest = cookie_of(await renewed(app, newest))
    assert (await renewed(app, oldest)).status_code == 401
    assert (await renewed(app, newest)).status_code == 401


async def test_a_family_alone_or_a_strangers_opens_nothing(app: Application, person: Person) -> None:
    family, _, _ = person.http.cookies[COOKIE].partition(".")
    for token in ("", ".", "a.b", f"x{person.http.cookies[COOKIE]}"):
        assert (await renewed(app, token)).status_code == 401
    assert (await me(app, person.headers)).status_code == 200
    assert (await renewed(app, family)).status_code == 401
    app.services.doorkeeper.forget()
    assert (await me(app, person.headers)).status_code == 401


async def test_a_session_ends_though_it_is_used(app: Application, person: Person) -> None:
    token, age = person.http.cookies[COOKIE], "UPDATE sessions SET created_at = now() - %s::interval WHERE user_id = %s"
    query(app.postgres, age, "179 days", person.id)
    token = cookie_of(await renewed(app, token))
    assert query(
        app.postgres, "SELECT expires_at = created_at + interval '180 days' FROM sessions WHERE user_id = %s", person.id
    ) == [(True,)]
    query(app.postgres, age, "181 days", person.id)
    query(
        app.postgres, "UPDATE sessions SET expires_at = created_at + interval '180 days' WHERE user_id = %s", person.id
    )
    assert (await renewed(app, token)).status_code == 401


async def test_a_token_stays_in_its_organization(app: Application, person: Person, fresh: str) -> None:
    other = f"org_{fresh}"
    query(app.postgres, "INSERT INTO organizations (id, name) VALUES (%s, 'other')", other)
    query(app.postgres, "INSERT INTO memberships VALUES (%s, %s, 'owner')", other, person.id)
    switched = await renewed(app, person.http.cookies[COOKIE], other)
    app.services.doorkeeper.forget()
    here, there = (await me(app, person.headers)).json(), (await me(app, bearer(switched))).json()
    assert (here["organization_id"], "*" in here["permissions"]) == ("default", False)
    assert (there["organization_id"], there["permissions"]) == (other, ["*"])
    query(app.postgres, "DELETE FROM memberships WHERE organization_id = %s", other)
    app.services.doorkeeper.forget()
    assert (await me(app, bearer(switched))).status_code == 401
    assert (await me(app, person.headers)).json()["permissions"] == here["permissions"]
