"""Changing a password, setting a first one, and the links that stand for one."""

import httpx2
import pytest

from api.identity.accounts import RESET, link_of
from api.scope import Scope
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query
from tests.fixtures.factors import PasskeyHolder

NEW = "another long password"


async def reset_link(app: Application, person: Person) -> str:
    """The secret of a link as a mail has it."""
    async with app.services.database.unit(Scope(person.organization_id, person.id)) as unit:
        return (await link_of(unit, RESET, person.id, person.email)).partition("=")[2]


async def confirmed(person: Person, token: str, password: str = NEW) -> int:
    body = {"token": token, "password": password}
    return (await person.http.post("/api/auth/password-reset/confirm", json=body)).status_code


async def changed(person: Person, current: str | None, new: str = NEW) -> httpx2.Response:
    body = {"new": new} | ({"current": current} if current is not None else {})
    return await person.http.post("/api/auth/password", json=body, headers=person.headers)


async def login(person: Person, password: str) -> int:
    return (await person.http.post("/api/auth/login", json={"email": person.email, "password": password})).status_code


@pytest.fixture
async def person(app: Application, fresh: str) -> Person:
    return await app.register(fresh)


@pytest.fixture
async def passwordless(app: Application, person: Person) -> Person:
    """Somebody who comes by a provider or a passkey, and signed in eleven minutes ago."""
    query(app.postgres, "UPDATE users SET password_hash = NULL WHERE id = %s", person.id)
    query(
        app.postgres, "UPDATE sessions SET authenticated_at = now() - interval '11 min' WHERE user_id = %s", person.id
    )
    return person


async def test_a_reset_voids_the_other_links(app: Application, person: Person) -> None:
    first, second = [await reset_link(app, person) for _ in range(2)]
    assert await confirmed(person, second) == 200
    assert await confirmed(person, first, "the third long one") == 400
    assert await login(person, NEW) == 200


async def test_a_change_voids_the_links(app: Application, person: Person) -> None:
    link = await reset_link(app, person)
    assert (await changed(person, PASSWORD)).status_code == 200
    assert await confirmed(person, link, "the third long one") == 400
    assert await login(person, NEW) == 200


async def test_a_reset_leaves_other_peoples_links(app: Application, person: Person, fresh: str) -> None:
    other = await app.register(f"{fresh}-other")
    links = [await reset_link(app, each) for each in (person, other)]
    assert [await confirmed(each, link) for each, link in zip((person, other), links, strict=True)] == [200, 200]


async def test_a_change_needs_the_password_even_at_once(person: Person) -> None:
    answer = await changed(person, None)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "current")
    assert (await changed(person, "not this one")).status_code == 401


async def test_an_older_session_sets_no_first_password(app: Application, passwordless: Person) -> None:
    for current in (None, "anything at all"):
        answer = await changed(passwordless, current)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "reauthentication_required")
    assert query(app.postgres, "SELECT password_hash FROM users WHERE id = %s", passwordless.id) == [(None,)]
    query(app.postgres, "UPDATE sessions SET authenticated_at = now() WHERE user_id = %s", passwordless.id)
    assert (await changed(passwordless, None)).status_code == 200
    assert await login(passwordless, NEW) == 200


async def test_an_older_session_erases_nobody(app: Application, passwordless: Person) -> None:
    path, headers = "/api/auth/erase", passwordless.headers
    for body in ({}, {"password": "anything at all"}):
        answer = await passwordless.http.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "reauthentication_required")
    assert query(app.postgres, "SELECT status FROM users WHERE id = %s", passwordless.id) == [("active",)]
    query(app.postgres, "UPDATE sessions SET authenticated_at = now() WHERE user_id = %s", passwordless.id)
    assert (await passwordless.http.post(path, json={}, headers=headers)).status_code == 202


async def test_who_has_a_second_factor_shows_it_first(app: Application, person: Person) -> None:
    holder = PasskeyHolder.of(app, person)
    assert (await holder.register()).status_code == 201
    again = await person.http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    only_password = person.within({"authorization": f"Bearer {again.json()['access_token']}"})
    assert (await changed(only_password, PASSWORD)).status_code == 403
    shown = (await holder.sign_in()).json()["access_token"]
    assert (await changed(person.within({"authorization": f"Bearer {shown}"}), PASSWORD)).status_code == 200
