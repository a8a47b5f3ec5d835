"""Passkeys through the front: a software authenticator, real sockets, a real database."""

import asyncio
from typing import Any

import httpx2
import pytest

from configs.postgres import EmbeddedPostgres
from tests.api.routes.test_two_factor import age_session, audited, bearer, outcome
from tests.api.routes.test_two_factor_roles import required
from tests.fixtures.application import PASSWORD, Application, application
from tests.fixtures.authenticator import COSE, Algorithm, Authenticator, Lie, new_key
from tests.fixtures.database import query
from tests.fixtures.factors import App, PasskeyHolder

REFUSED = "passkey_refused"


@pytest.fixture
async def holder(app: Application, fresh: str) -> PasskeyHolder:
    made = PasskeyHolder.of(app, await app.register(fresh))
    assert (await made.register(name="laptop")).status_code == 201
    return made


@pytest.mark.parametrize("algorithm", COSE)
async def test_a_passkey_is_registered_and_signs_in(app: Application, fresh: str, algorithm: Algorithm) -> None:
    holder = PasskeyHolder.of(app, await app.register(fresh), algorithm=algorithm)
    made = await holder.register(name="laptop")
    assert made.status_code == 201
    assert (made.json()["object"], made.json()["name"], made.json()["last_used_at"]) == ("passkey", "laptop", None)
    answer = await holder.sign_in()
    assert {"access_token", "token_type", "expires_in", "user_id", "organization_id"} == answer.json().keys()
    assert "manta_refresh" in answer.headers["set-cookie"]
    me = await holder.person.http.get("/api/auth/me", headers=bearer(answer))
    assert me.json()["id"] == holder.person.id
    (kept,) = (await holder.person.http.get("/api/auth/passkeys", headers=holder.person.headers)).json()["data"]
    assert kept["last_used_at"] is not None
    sessions = (await holder.person.http.get("/api/auth/sessions", headers=bearer(answer))).json()["data"]
    assert [each["methods"] for each in sessions if each["current"]] == [["passkey"]]


async def test_a_passkey_is_both_factors(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    await App.of(person)
    holder = PasskeyHolder.of(app, person)
    assert (await holder.register()).status_code == 201
    answer = await holder.sign_in()
    assert (await person.http.get("/api/teams", headers=bearer(answer))).status_code == 200


async def test_a_passkey_does_for_a_role_that_needs_a_factor(app: Application, fresh: str) -> None:
    owner = await app.register(f"{fresh}-o", "owner", f"org_{fresh}")
    member = await app.register(f"{fresh}-m", "member", f"org_{fresh}")
    await required(app, owner, ["member"])
    holder = PasskeyHolder.of(app, member)
    assert (await holder.register()).status_code == 201
    assert (await member.http.get("/api/teams", headers=member.headers)).status_code == 200
    login = {"email": member.email, "password": PASSWORD}
    by_password = bearer(await member.http.post("/api/auth/login", json=login))
    assert outcome(await member.http.get("/api/teams", headers=by_password)) == (403, "two_factor_required")
    start = await member.http.post("/api/auth/totp", json={"password": PASSWORD}, headers=by_password)
    assert outcome(start) == (403, "two_factor_required"), "else a stolen password would make itself a factor"
    by_passkey = bearer(await holder.sign_in())
    assert (await member.http.get("/api/teams", headers=by_passkey)).status_code == 200


LIES = {
    "another origin": Lie(origin="https://host"),
    "another domain": Lie(rp_id="example.com"),
    "another challenge": Lie(challenge=b"x" * 64),
    "nobody verified": Lie(verified=False),
    "nobody present": Lie(present=False),
    "another credential": Lie(credential_id=b"somebody else's"),
    "the wrong ceremony": Lie(type="webauthn.other"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_registration_that_lies_is_refused(app: Application, fresh: str, lie: Lie) -> None:
    holder = PasskeyHolder.of(app, await app.register(fresh))
    assert outcome(await holder.register(lie)) == (400, REFUSED)
    assert query(app.postgres, "SELECT 1 FROM passkeys WHERE user_id = %s", holder.person.id) == []


SIGN_IN_LIES = LIES | {
    "another person": Lie(user_handle=b"h" * 64),
    "another key": Lie(key=new_key("ES256")),
    "the same count": Lie(count=1),
    "no count": Lie(count=0),
}


@pytest.mark.parametrize("lie", SIGN_IN_LIES.values(), ids=SIGN_IN_LIES.keys())
async def test_a_sign_in_that_lies_is_refused(holder: PasskeyHolder, lie: Lie) -> None:
    answer = await holder.sign_in(lie)
    assert outcome(answer) == (401, REFUSED)
    assert "set-cookie" not in answer.headers
    assert (await holder.sign_in()).status_code == 200


async def test_a_challenge_is_good_once(holder: PasskeyHolder) -> None:
    answer = holder.authenticator.get(await holder.asked())
    body = {"credential": answer}
    tries = await asyncio.gather(*(holder.post("login/verify", body, known=False) for _ in range(4)))
    assert sorted(each.status_code for each in tries) == [200, 401, 401, 401]
    assert outcome(await holder.post("login/verify", body, known=False)) == (401, REFUSED)


async def test_a_wrong_answer_uses_the_challenge_up(holder: PasskeyHolder) -> None:
    options = await holder.asked()
    wrong = holder.authenticator.get(options, Lie(key=new_key("ES256")))
    assert outcome(await holder.post("login/verify", {"credential": wrong}, known=False)) == (401, REFUSED)
    right = holder.authenticator.get(options)
    assert outcome(await holder.post("login/verify", {"credential": right}, known=False)) == (401, REFUSED)


async def test_a_challenge_is_good_for_five_minutes(app: Application, holder: PasskeyHolder) -> None:
    answer = holder.authenticator.get(await holder.asked())
    past = "UPDATE ceremonies SET expires_at = expires_at - interval '301 s' WHERE kind = 'passkey.login'"
    query(app.postgres, past)
    assert outcome(await holder.post("login/verify", {"credential": answer}, known=False)) == (401, REFUSED)
    assert query(app.postgres, "SELECT 1 FROM ceremonies WHERE expires_at > now() + interval '5 min'") == []


async def test_ceremonies_that_are_over_make_room(app: Application, holder: PasskeyHolder) -> None:
    for _ in range(3):
        await holder.asked()
    query(app.postgres, "UPDATE ceremonies SET expires_at = now() - interval '1 s'")
    await holder.asked()
    assert query(app.postgres, "SELECT count(*) FROM ceremonies") == [(1,)]


async def test_a_registration_belongs_to_who_began_it(app: Application, fresh: str) -> None:
    mine = PasskeyHolder.of(app, await app.register(f"{fresh}-a"))
    theirs = PasskeyHolder.of(app, await app.register(f"{fresh}-b"))
    options = (await mine.post("register/options")).json()
    answer = mine.authenticator.create(options)
    assert outcome(await theirs.post("register/verify", {"credential": answer})) == (400, REFUSED)
    assert outcome(await mine.post("register/verify", {"credential": answer})) == (400, REFUSED), "it was used up"


async def test_the_ceremonies_do_not_stand_in_for_each_other(holder: PasskeyHolder) -> None:
    signed = holder.authenticator.get(await holder.asked())
    assert outcome(await holder.post("register/verify", {"credential": signed})) == (400, REFUSED)
    options = (await holder.post("register/options")).json() | {"excludeCredentials": []}
    created = holder.authenticator.create(options)
    assert outcome(await holder.post("login/verify", {"credential": created}, known=False)) == (401, REFUSED)


async def test_a_credential_has_one_owner(app: Application, fresh: str, holder: PasskeyHolder) -> None:
    other = PasskeyHolder.of(app, await app.register(f"{fresh}-b"))
    options = (await other.post("register/options")).json()
    mine = holder.authenticator.residents[0]
    answer = other.authenticator.create(options)
    other.authenticator.residents[0].id = mine.id
    query(
        app.postgres, "UPDATE passkeys SET credential_id = %s WHERE user_id = %s",
        bytes.fromhex(_hex(answer["rawId"])), holder.person.id,
    )  # fmt: skip
    assert outcome(await other.post("register/verify", {"credential": answer})) == (409, "conflict")


def _hex(text: str) -> str:
    from tests.fixtures.authenticator import decoded

    return decoded(text).hex()


async def test_a_second_passkey_knows_the_person_by_the_same_handle(app: Application, holder: PasskeyHolder) -> None:
    options = (await holder.post("register/options")).json()
    assert len(options["excludeCredentials"]) == 1
    with pytest.raises(AssertionError, match="InvalidStateError"):
        holder.authenticator.create(options)
    second = PasskeyHolder(holder.person, Authenticator(holder.authenticator.origin), holder.host)
    assert (await second.register()).status_code == 201
    assert second.authenticator.residents[0].user_handle == holder.authenticator.residents[0].user_handle
    handles = query(app.postgres, "SELECT user_handle FROM passkeys WHERE user_id = %s", holder.person.id)
    assert len(handles) == 2
    assert holder.person.id.encode() not in handles[0][0]
    assert (await second.sign_in()).status_code == (await holder.sign_in()).status_code == 200


async def test_a_removed_passkey_opens_nothing(holder: PasskeyHolder) -> None:
    http, headers = holder.person.http, holder.person.headers
    (kept,) = (await http.get("/api/auth/passkeys", headers=headers)).json()["data"]
    assert (await http.delete(f"/api/auth/passkeys/{kept['id']}", headers=headers)).status_code == 200
    assert (await http.delete(f"/api/auth/passkeys/{kept['id']}", headers=headers)).status_code == 404
    assert outcome(await holder.sign_in()) == (401, REFUSED)
    assert (await http.get("/api/auth/passkeys", headers=headers)).json()["data"] == []


async def test_an_older_session_wants_the_password_again(app: Application, holder: PasskeyHolder) -> None:
    age_session(app, holder.person, 11)
    assert outcome(await holder.post("register/options")) == (403, "reauthentication_required")
    assert (await holder.post("register/options", {"password": PASSWORD})).status_code == 200
    assert (await holder.post("register/options")).status_code == 200, "the password counts for ten minutes"


async def test_somebody_who_is_disabled_does_not_come_in(app: Application, holder: PasskeyHolder) -> None:
    query(app.postgres, "UPDATE users SET status = 'disabled' WHERE id = %s", holder.person.id)
    assert outcome(await holder.sign_in()) == (401, REFUSED)


async def test_a_person_enters_their_own_organizations_only(app: Application, holder: PasskeyHolder) -> None:
    assert (await holder.sign_in(organization_id="org_of_others")).status_code == 403
    answer = await holder.sign_in(organization_id="default")
    assert answer.json()["organization_id"] == "default"


async def test_there_is_an_end_to_passkeys(app: Application, holder: PasskeyHolder) -> None:
    query(
        app.postgres,
        "INSERT INTO passkeys (id, user_id, credential_id, user_handle, public_key, sign_count, name)"
        " SELECT id || n, user_id, credential_id || n::text::bytea, user_handle, public_key, 0, 'x'"
        " FROM passkeys, generate_series(1, 24) n WHERE user_id = %s",
        holder.person.id,
    )
    assert outcome(await holder.post("register/options")) == (409, "conflict")


async def test_by_an_address_there_are_no_passkeys(app: Application, holder: PasskeyHolder) -> None:
    for path in ("login/options", "register/options"):
        answer = await holder.person.http.post(f"/api/auth/passkeys/{path}", json={}, headers=holder.person.headers)
        assert outcome(answer) == (400, REFUSED)
        assert "public_url" in answer.json()["error"]["message"]


async def test_the_public_address_is_the_domain(postgres: EmbeddedPostgres) -> None:
    general = {"public_url": "https://a.example.com"}
    async with application(postgres, general_settings=general) as public, public.client() as http:
        options = (await http.post("/api/auth/passkeys/login/options")).json()
    assert options["rpId"] == "a.example.com"


BODIES: dict[str, Any] = {
    "nothing": {},
    "no object": {"credential": "x"},
    "empty": {"credential": {}},
    "wrong inside": {"credential": {"id": 1, "rawId": [], "response": {"clientDataJSON": None}}},
    "large": {"credential": {"id": "x" * 40_000}},
    "unknown field": {"credential": {}, "user_id": "user_1"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_what_is_no_answer_is_refused(holder: PasskeyHolder, body: dict[str, Any]) -> None:
    for path, known in (("register/verify", True), ("login/verify", False)):
        answer: httpx2.Response = await holder.post(path, body, known=known)
        assert answer.status_code in (400, 401, 413)


async def test_what_happened_is_in_the_audit_log(app: Application, holder: PasskeyHolder) -> None:
    await holder.sign_in(Lie(key=new_key("ES256")))
    await holder.sign_in()
    http, headers = holder.person.http, holder.person.headers
    (kept,) = (await http.get("/api/auth/passkeys", headers=headers)).json()["data"]
    await http.delete(f"/api/auth/passkeys/{kept['id']}", headers=headers)
    assert audited(app, holder.person)[-4:] == [
        ("two_factor.enable", "ok"), ("session.begin", "refused"), ("session.begin", "ok"),
        ("two_factor.disable", "ok"),
    ]  # fmt: skip
