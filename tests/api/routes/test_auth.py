"""Accounts and sessions, through the front."""

import asyncio
import re

import bcrypt
import pytest

from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, application
from tests.fixtures.database import query

COOKIE = "manta_refresh"


async def test_an_account_is_made_and_entered(app: Application, fresh: str) -> None:
    async with app.client() as http:
        made = await http.post("/api/auth/register", json={"email": f" {fresh}@Example.com ", "password": PASSWORD})
        assert made.status_code == 201
        assert {"access_token", "token_type", "expires_in"} <= made.json().keys()
        assert (made.json()["token_type"], made.json()["expires_in"]) == ("Bearer", 600)
        (cookie,) = made.headers.get_list("set-cookie")
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/api/auth" in cookie
        answer = await http.post("/api/auth/login", json={"email": f"{fresh}@example.com", "password": PASSWORD})
        me = await http.get("/api/auth/me", headers={"authorization": f"Bearer {answer.json()['access_token']}"})
    assert me.json()["email"] == f"{fresh}@example.com"
    assert [(each["id"], each["role"]) for each in me.json()["organizations"]] == [("default", "member")]


async def test_no_password_and_no_token_is_stored(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    refresh = person.http.cookies[COOKIE]
    ((user, tokens),) = query(
        app.postgres,
        "SELECT to_jsonb(u)::text, (SELECT string_agg(encode(digest, 'escape'), ' ') FROM refresh_tokens t"
        " WHERE t.user_id = u.id) FROM users u WHERE id = %s",
        person.id,
    )
    assert "$argon2id$" in user
    assert PASSWORD not in user
    assert refresh not in tokens


REFUSED = {
    "no address": {"email": "nobody", "password": PASSWORD},
    "a short password": {"email": "a@example.com", "password": "short"},
    "a long one": {"email": "a@example.com", "password": "x" * 257},
    "no password": {"email": "a@example.com"},
    "an unknown field": {"email": "a@example.com", "password": PASSWORD, "role": "owner"},
    "two addresses": {"email": "a@example.com,b@example.com", "password": PASSWORD},
    "a line end": {"email": "a@example.com\r\nbcc:b@example.com", "password": PASSWORD},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
async def test_what_makes_no_account(app: Application, body: dict[str, str]) -> None:
    async with app.client() as http:
        answer = await http.post("/api/auth/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_an_address_has_one_account(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    async with app.client() as http:
        answer = await http.post("/api/auth/register", json={"email": person.email.upper(), "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["param"]) == (409, "email")


async def test_registering_is_open_on_this_machine_only(app: Application, fresh: str) -> None:
    body = {"email": f"{fresh}@example.com", "password": PASSWORD}
    async with app.client() as http:
        for headers in ({"x-forwarded-for": "10.0.0.1"}, {"forwarded": "for=10.0.0.1"}, {"via": "1.1 proxy"}):
            assert (await http.post("/api/auth/register", json=body, headers=headers)).status_code == 403
    elsewhere = {"public_url": "http://chat.example.com"}
    async with application(app.postgres, general_settings=elsewhere) as public, public.client() as http:
        assert (await http.post("/api/auth/register", json=body)).status_code == 403
    async with application(app.postgres, identity={"registration": "closed"}) as closed, closed.client() as http:
        answer = await http.post("/api/auth/register", json=body)
        assert (answer.status_code, "Nobody" in answer.json()["error"]["message"]) == (403, True)


async def test_the_first_admins_link_works_once(app: Application, fresh: str) -> None:
    secret = f"link-of-{fresh}"
    await app.first_admin_link(secret)
    async with app.client() as http:
        bodies = [{"email": f"{fresh}-{n}@example.com", "password": PASSWORD, "invitation": secret} for n in range(3)]
        answers = await asyncio.gather(*(http.post("/api/auth/register", json=body) for body in bodies))
        made = [answer for answer in answers if answer.status_code == 201]
        assert sorted(answer.status_code for answer in answers) == [201, 400, 400]
        headers = {"authorization": f"Bearer {made[0].json()['access_token']}"}
        me = (await http.get("/api/auth/me", headers=headers)).json()
    assert me["organizations"][0]["role"] == "owner"
    assert me["permissions"] == ["*"]


async def test_a_wrong_password_and_an_unknown_address_look_alike(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    async with app.client() as http:
        wrong = await http.post("/api/auth/login", json={"email": person.email, "password": "not this one"})
        unknown = await http.post("/api/auth/login", json={"email": f"no-{person.email}", "password": "not this one"})
    assert (wrong.status_code, wrong.json()) == (401, unknown.json())


async def test_bcrypt_is_accepted_and_replaced(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    query(app.postgres, "UPDATE users SET password_hash = %s WHERE id = %s", old, person.id)
    async with app.client() as http:
        for password, status in (("another one", 401), (PASSWORD, 200), (PASSWORD, 200)):
            answer = await http.post("/api/auth/login", json={"email": person.email, "password": password})
            assert answer.status_code == status
    ((stored,),) = query(app.postgres, "SELECT password_hash FROM users WHERE id = %s", person.id)
    assert stored.startswith("$argon2id$")


async def test_guessing_gets_slower_and_ends_no_session(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    async with app.client() as http:
        bad = {"email": person.email, "password": "not this one"}
        statuses = [(await http.post("/api/auth/login", json=bad)).status_code for _ in range(14)]
        assert statuses[:10] == [401] * 10
        assert 429 in statuses[10:]
        refused = await http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert (await http.get("/api/auth/me", headers=person.headers)).status_code == 200
    query(app.postgres, "DELETE FROM throttles")


async def test_signing_out_everywhere_ends_every_token(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    async with app.client() as http:
        other = await http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
        elsewhere = {"authorization": f"Bearer {other.json()['access_token']}"}
        listed = (await http.get("/api/auth/sessions", headers=person.headers)).json()["data"]
        assert [each["current"] for each in sorted(listed, key=lambda each: each["created_at"])] == [True, False]
        assert (await http.delete("/api/auth/sessions", headers=person.headers)).status_code == 200
        for headers in (person.headers, elsewhere):
            assert (await http.get("/api/auth/me", headers=headers)).status_code == 401


async def test_one_session_is_ended_by_its_owner_only(app: Application, fresh: str) -> None:
    one, two = await app.register(fresh), await app.register(f"{fresh}-b")
    (session,) = (await one.http.get("/api/auth/sessions", headers=one.headers)).json()["data"]
    path = f"/api/auth/sessions/{session['id']}"
    assert (await two.http.delete(path, headers=two.headers)).status_code == 404
    assert (await one.http.get("/api/auth/me", headers=one.headers)).status_code == 200
    assert (await one.http.delete(path, headers=one.headers)).status_code == 200
    assert (await one.http.get("/api/auth/me", headers=one.headers)).status_code == 401


async def test_signing_out_takes_the_cookie_away(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    answer = await person.http.post("/api/auth/logout", headers=person.headers)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await person.http.get("/api/auth/me", headers=person.headers)).status_code == 401


async def test_a_new_password_ends_the_other_sessions(app: Application, fresh: str) -> None:
    person, new = await app.register(fresh), "another long password"
    async with app.client() as http:
        other = await http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
        elsewhere = {"authorization": f"Bearer {other.json()['access_token']}"}
        wrong = await http.post("/api/auth/password", json={"current": "wrong", "new": new}, headers=person.headers)
        assert wrong.status_code == 401
        right = await http.post("/api/auth/password", json={"current": PASSWORD, "new": new}, headers=person.headers)
        assert right.status_code == 200
        assert (await http.get("/api/auth/me", headers=elsewhere)).status_code == 401
        assert (await http.get("/api/auth/me", headers=person.headers)).status_code == 200
        login = await http.post("/api/auth/login", json={"email": person.email, "password": new})
        assert login.status_code == 200


async def test_a_disabled_person_is_out(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    query(app.postgres, "UPDATE users SET status = 'disabled' WHERE id = %s", person.id)
    app.services.doorkeeper.forget()
    async with app.client() as http:
        assert (await http.get("/api/auth/me", headers=person.headers)).status_code == 401
        login = await http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
        assert login.status_code == 401
    renewed = await person.http.post("/api/auth/refresh", headers={"origin": app.origin})
    assert renewed.status_code == 401


async def test_sign_ins_are_in_the_audit_log_without_addresses(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    async with app.client() as http:
        await http.post("/api/auth/login", json={"email": person.email, "password": "wrong"})
    rows = await app.rows(Scope("default"), f"SELECT * FROM audit_log WHERE actor = '{person.id}' ORDER BY seq")
    assert [(row.action, row.outcome) for row in rows] == [
        ("user.register", "ok"),
        ("session.begin", "ok"),
        ("session.begin", "refused"),
    ]
    assert {row.address for row in rows} == {"127.0.0.0/24"}
    assert not re.search(r"example\.com|127\.0\.0\.1", str(rows))


async def test_an_access_token_is_no_cookie_and_a_cookie_no_access_token(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    token = person.headers["authorization"].removeprefix("Bearer ")
    async with app.client() as http:
        for headers in (
            {"cookie": f"{COOKIE}={token}"},
            {"cookie": f"{COOKIE}={person.http.cookies[COOKIE]}"},
            {"authorization": f"Bearer {person.http.cookies[COOKIE]}"},
            {"x-api-key": token},
        ):
            assert (await http.get("/api/auth/me", headers=headers)).status_code == 401
            assert (await http.get("/v1/models", headers=headers)).status_code == 401


async def test_a_known_person_goes_on_while_the_database_is_down(postgres: EmbeddedPostgres, fresh: str) -> None:
    from tests.fixtures.database import bring_back

    async with application(postgres) as app:
        person = await app.register(fresh)
        assert (await person.http.get("/v1/models", headers=person.headers)).status_code == 200
        await asyncio.to_thread(postgres.stop)
        try:
            assert (await person.http.get("/v1/models", headers=person.headers)).status_code == 200
            login = await person.http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
            assert (login.status_code, "retry-after" in login.headers) == (503, True)
        finally:
            await asyncio.to_thread(bring_back, postgres)
