"""What one stranger cannot do to everybody else: fill the queue of passwords, or the tables."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event

from api.identity.throttle import Guessing, key_of
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, application
from tests.fixtures.database import query

PROXIED = {"public_url": "http://chat.example.com", "trusted_proxies": ["127.0.0.1/32"], "allowed_hosts": ["127.0.0.1"]}
CONTROLLER = {"name": "Example", "address": "1 Example Street", "email": "privacy@example.com", "law": "that of X"}
FLOODERS = 40


@pytest.fixture
async def public(postgres: EmbeddedPostgres) -> AsyncIterator[Application]:
    """An installation that is open to everybody, behind a proxy on this machine."""
    identity, privacy = {"registration": "open"}, {"controller": CONTROLLER}
    async with application(postgres, general_settings=PROXIED, identity=identity, privacy=privacy) as made:
        yield made


def of(address: str) -> dict[str, str]:
    return {"x-forwarded-for": address, "x-forwarded-proto": "http"}


async def test_one_address_cannot_shut_sign_in(public: Application, app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    accepts = {}
    async with public.client() as http:
        for name in ("privacy", "terms"):
            accepts[name] = (await http.get(f"/api/legal/{name}")).json()["version"]
    told: Counter[int] = Counter()
    stop = asyncio.Event()

    async def flood(number: int) -> None:
        async with public.client() as http:
            for each in range(10_000):
                if stop.is_set():
                    return
                email = person.email if number % 2 else f"{fresh}-{number}-{each}@example.com"
                body = {"email": email, "password": PASSWORD, "accepts": accepts}
                answer = await http.post("/api/auth/register", json=body, headers=of("192.0.2.1"))
                told[answer.status_code] += 1

    flooders = [asyncio.create_task(flood(number)) for number in range(FLOODERS)]
    async with public.client() as http:
        await asyncio.sleep(1)
        login = {"email": person.email, "password": PASSWORD}
        answers = [await http.post("/api/auth/login", json=login, headers=of("198.51.100.7")) for _ in range(5)]
    stop.set()
    await asyncio.gather(*flooders)
    assert [(answer.status_code, answer.json().get("error")) for answer in answers] == [(200, None)] * 5
    assert told.keys() <= {201, 409, 429, 503}
    assert told[429] > 0
    assert told[201] + told[409] < 2 * Guessing.REGISTRATION.value.allowed


async def test_a_taken_address_costs_no_hash(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    app.services.hasher.process.end_idle()
    assert app.services.hasher.process.pid is None
    async with app.client() as http:
        answer = await http.post("/api/auth/register", json={"email": person.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["param"]) == (409, "email")
    assert app.services.hasher.process.pid is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/auth/passkeys/login/options"),
        ("GET", "/api/auth/oidc/nothing/login"),
        ("POST", "/api/auth/oidc/nothing/login"),
    ],
)
async def test_strangers_begin_so_many_sign_ins(app: Application, method: str, path: str) -> None:
    app.forget_throttles("ceremony", "127.0.0.1")
    async with app.client() as http:
        first = await http.request(method, path)
        assert first.status_code in (400, 404)
        key, allowed = key_of(Guessing.CEREMONY, "127.0.0.1"), Guessing.CEREMONY.value.allowed
        assert query(app.postgres, "SELECT count FROM throttles WHERE key = %s", key) == [(1,)]
        query(app.postgres, "UPDATE throttles SET count = %s WHERE key = %s", allowed + 10, key)
        assert (await http.request(method, path)).status_code in (400, 404)
        late = await http.request(method, path)
    app.forget_throttles("ceremony", "127.0.0.1")
    assert (late.status_code, int(late.headers["retry-after"]) > 500) == (429, True)


async def test_an_unknown_address_and_a_wrong_password_are_the_same_work(app: Application, fresh: str) -> None:
    person, statements = await app.register(fresh), []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    engine = app.services.database._engine.sync_engine
    done = []
    event.listen(engine, "before_cursor_execute", note)
    async with app.client() as http:
        for email in (person.email, f"nobody-{fresh}@example.com"):
            statements.clear()
            answer = await http.post("/api/auth/login", json={"email": email, "password": "not this one"})
            assert answer.status_code == 401
            done.append(list(statements))
    event.remove(engine, "before_cursor_execute", note)
    assert done[0] == done[1]
    assert any("append_audit" in statement for statement in done[0])
