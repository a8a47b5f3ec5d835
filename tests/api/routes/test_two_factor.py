"""Authenticator apps and recovery codes, through the front and on a real database."""

import asyncio
import re

import httpx2

from api.identity.throttle import Guessing, key_of
from api.identity.two_factor import recovery
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query
from tests.fixtures.factors import App


def outcome(answer: httpx2.Response) -> tuple[int, str | None]:
    """Status, and the error's code."""
    return answer.status_code, answer.json()["error"]["code"] if answer.is_error else None


def bearer(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def age_session(app: Application, person: Person, minutes: int) -> None:
    query(
        app.postgres,
        "UPDATE sessions SET authenticated_at = authenticated_at - make_interval(mins => %s) WHERE user_id = %s",
        minutes,
        person.id,
    )


def audited(app: Application, person: Person) -> list[tuple[str, str]]:
    return query(app.postgres, "SELECT action, outcome FROM audit_log WHERE actor = %s ORDER BY seq", person.id)


async def test_an_app_is_set_up_and_asked_for(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    started = await person.http.post("/api/auth/totp", headers=person.headers)
    assert started.status_code == 201
    body = started.json()
    assert re.fullmatch(r"[A-Z2-7]{32}", body["secret"])
    assert body["uri"].startswith("otpauth://totp/Manta:")
    assert body["svg"].startswith("<svg")
    phone = App(person, body["secret"], [])
    assert (await phone.login(None)).status_code == 200, "it counts once a code was confirmed"
    confirmed = await phone.post("/api/auth/totp/confirm", phone.code())
    assert len(confirmed.json()["recovery_codes"]) == 10
    assert outcome(await phone.login(None)) == (401, "two_factor_required")
    assert (await phone.login(phone.code(1))).status_code == 200
    state = (await person.http.get("/api/auth/two-factor", headers=person.headers)).json()
    assert state == {
        "object": "two_factor", "totp": True, "passkeys": 0, "recovery_codes_left": 10, "required": False
    }  # fmt: skip


async def test_a_wrong_password_is_not_told_from_one_with_a_missing_code(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    wrong, with_code = await phone.login(None, "wrong" * 3), await phone.login(phone.code(1), "wrong" * 3)
    assert outcome(wrong) == outcome(with_code) == (401, "invalid_api_key")
    assert wrong.json()["error"]["message"] == with_code.json()["error"]["message"]
    assert (await phone.login(phone.code(1))).status_code == 200, "the code was not used up"


async def test_each_code_counts_once(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    assert outcome(await phone.login(phone.code())) == (401, "invalid_two_factor_code"), "confirming used it"
    answers = await asyncio.gather(*(phone.login(phone.code(1)) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_a_recovery_code_stands_in_once(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    code = phone.recovery_codes[3]
    answers = await asyncio.gather(*(phone.login(code.upper().replace("-", " ")) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    assert (await phone.login(phone.recovery_codes[4])).status_code == 200
    state = await phone.person.http.get("/api/auth/two-factor", headers=phone.person.headers)
    assert state.json()["recovery_codes_left"] == 8


async def test_new_recovery_codes_void_the_old(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    assert outcome(await phone.post("/api/auth/recovery-codes", phone.wrong())) == (400, "invalid_two_factor_code")
    renewed = await phone.post("/api/auth/recovery-codes", phone.recovery_codes[0])
    codes = renewed.json()["recovery_codes"]
    assert len(set(codes) | set(phone.recovery_codes)) == 20
    assert outcome(await phone.login(phone.recovery_codes[1])) == (401, "invalid_two_factor_code")
    assert (await phone.login(codes[1])).status_code == 200


async def test_neither_secret_nor_codes_are_stored(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    ((sealed,),) = query(app.postgres, "SELECT secret FROM totp_secrets WHERE user_id = %s", phone.person.id)
    assert phone.secret.encode() not in sealed
    digests = {bytes(each) for (each,) in query(
        app.postgres, "SELECT digest FROM recovery_codes WHERE user_id = %s", phone.person.id
    )}  # fmt: skip
    assert digests == {recovery.digest_of(code) for code in phone.recovery_codes}


async def test_a_secret_in_another_persons_row_opens_nothing(app: Application, fresh: str) -> None:
    mine, theirs = await App.of(await app.register(f"{fresh}-a")), await App.of(await app.register(f"{fresh}-b"))
    query(
        app.postgres,
        "UPDATE totp_secrets SET (secret, data_key_id) ="
        " (SELECT secret, data_key_id FROM totp_secrets WHERE user_id = %s) WHERE user_id = %s",
        mine.person.id,
        theirs.person.id,
    )
    stolen = App(theirs.person, mine.secret, [])
    assert (await stolen.login(stolen.code(1))).status_code == 500
    assert (await mine.login(mine.code(1))).status_code == 200


async def test_an_app_is_turned_off_by_a_code_only(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    http, headers = phone.person.http, phone.person.headers
    for body, wanted in (({"code": phone.wrong()}, 400), ({}, 400), ({"code": "x" * 65}, 400)):
        answer = await http.request("DELETE", "/api/auth/totp", json=body, headers=headers)
        assert answer.status_code == wanted
    answer = await http.request("DELETE", "/api/auth/totp", json={"code": phone.code(1)}, headers=headers)
    assert answer.status_code == 200
    assert (await phone.login(None)).status_code == 200
    assert outcome(await phone.post("/api/auth/recovery-codes", phone.recovery_codes[0])) == (
        400,
        "invalid_two_factor_code",
    )
    assert query(app.postgres, "SELECT 1 FROM recovery_codes WHERE user_id = %s", phone.person.id) == []


async def test_an_app_is_set_up_once_and_its_secret_replaced_until_then(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    first, second = [
        (await person.http.post("/api/auth/totp", headers=person.headers)).json()["secret"] for _ in range(2)
    ]
    assert outcome(await App(person, first, []).post("/api/auth/totp/confirm", App(person, first, []).code())) == (
        400,
        "invalid_two_factor_code",
    )
    phone = App(person, second, [])
    assert (await phone.post("/api/auth/totp/confirm", phone.code())).status_code == 200
    assert (await phone.post("/api/auth/totp/confirm", phone.code(1))).status_code == 400
    assert (await person.http.post("/api/auth/totp", headers=person.headers)).status_code == 409


async def test_a_secret_waits_a_quarter_of_an_hour(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    secret = (await person.http.post("/api/auth/totp", headers=person.headers)).json()["secret"]
    query(app.postgres, "UPDATE totp_secrets SET created_at = now() - interval '16 min' WHERE user_id = %s", person.id)
    phone = App(person, secret, [])
    assert outcome(await phone.post("/api/auth/totp/confirm", phone.code())) == (400, "invalid_two_factor_code")


async def test_an_older_session_wants_the_password_again(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    age_session(app, person, 11)
    start = "/api/auth/totp"
    assert outcome(await person.http.post(start, headers=person.headers)) == (403, "reauthentication_required")
    wrong = await person.http.post(start, json={"password": "wrong" * 3}, headers=person.headers)
    assert wrong.status_code == 401
    right = await person.http.post(start, json={"password": PASSWORD}, headers=person.headers)
    assert right.status_code == 201
    phone = App(person, right.json()["secret"], [])
    age_session(app, person, 11)
    assert (await phone.post("/api/auth/totp/confirm", phone.code())).status_code == 200


async def test_turning_it_on_ends_the_other_sessions(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    other = bearer(await person.http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD}))
    await App.of(person)
    assert (await person.http.get("/api/auth/me", headers=other)).status_code == 401
    assert (await person.http.get("/api/auth/me", headers=person.headers)).status_code == 200


async def test_guesses_at_codes_get_slower(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    verify, key = "/api/auth/totp/verify", key_of(Guessing.CODE, phone.person.email)
    assert (await phone.post(verify, phone.wrong())).status_code == 400
    query(app.postgres, "UPDATE throttles SET count = 19 WHERE key = %s", key)
    answers = await asyncio.gather(*(phone.post(verify, phone.wrong()) for _ in range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [400] + [429] * 7, "of many guesses at once, no more are looked at"
    held = await phone.login(phone.code(1))
    assert (held.status_code, int(held.headers["retry-after"]) > 600) == (429, True)
    query(app.postgres, "UPDATE throttles SET blocked_until = now() WHERE key = %s", key)
    assert (await phone.login(phone.code(1))).status_code == 200


async def test_the_right_password_alone_forgives_no_wrong_code(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    keys = [key_of(each, phone.person.email) for each in (Guessing.ACCOUNT, Guessing.CODE)]
    counts = "SELECT count FROM throttles WHERE key = ANY(%s)"
    assert (await phone.login(phone.wrong())).status_code == 401
    assert outcome(await phone.login(None)) == (401, "two_factor_required")
    assert query(app.postgres, counts, keys) == [(1,), (1,)]
    assert (await phone.login(phone.code(1))).status_code == 200
    assert query(app.postgres, counts, keys) == []


async def test_what_happened_is_in_the_audit_log(app: Application, fresh: str) -> None:
    phone = await App.of(await app.register(fresh))
    await phone.login(phone.wrong())
    await phone.post("/api/auth/recovery-codes", phone.recovery_codes[0])
    http, headers = phone.person.http, phone.person.headers
    await http.request("DELETE", "/api/auth/totp", json={"code": phone.code(1)}, headers=headers)
    acts = audited(app, phone.person)
    assert [each for each in acts if each[0] != "user.register"] == [
        ("session.begin", "ok"), ("two_factor.enable", "ok"), ("session.begin", "refused"),
        ("two_factor.recovery_codes", "ok"), ("two_factor.disable", "ok"),
    ]  # fmt: skip
    ((row,),) = query(app.postgres, "SELECT string_agg(details, ' ') FROM audit_log WHERE actor = %s", phone.person.id)
    assert phone.secret not in row
    assert phone.recovery_codes[0] not in row
