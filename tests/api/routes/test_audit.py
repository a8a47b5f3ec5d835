"""The audit log through the front: what is written, who may read it, pages, filters, export."""

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from api.audit import chain
from api.audit.chain import Entry
from api.db import audit as audit_queries
from api.db.audit import Filter
from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query

PATH = "/api/admin/audit"


@pytest.fixture
async def owner(app: Application, fresh: str) -> Person:
    return await app.register(f"{fresh}-owner", "owner", f"org_{fresh}")


async def listed(person: Person, **params: Any) -> list[dict[str, Any]]:
    answer = await person.http.get(PATH, params={"limit": 100, **params}, headers=person.headers)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


async def key_of(person: Person) -> str:
    answer = await person.http.post("/api/keys", json={"name": "a name"}, headers=person.headers)
    return str(answer.json()["id"])


async def test_keys_are_logged_with_who_and_what(app: Application, owner: Person) -> None:
    key_id = await key_of(owner)
    await owner.http.delete(f"/api/keys/{key_id}", headers=owner.headers)
    revoked, created = await listed(owner, target=key_id)
    assert (created["action"], revoked["action"]) == ("key.create", "key.revoke")
    assert (created["actor"], created["outcome"], created["details"]["permissions"]) == (owner.id, "ok", ["*"])
    assert created["address"] == "127.0.0.0/24"
    assert "a name" not in json.dumps([created, revoked])


async def test_models_are_logged_in_the_first_organization(app: Application, fresh: str) -> None:
    admin = await app.register(f"{fresh}-admin", "owner")
    body = {"model_name": fresh, "params": {"model": "vllm/starter"}}
    assert (await admin.http.post("/api/models", json=body, headers=admin.headers)).status_code == 201
    assert (await admin.http.delete(f"/api/models/{fresh}", headers=admin.headers)).status_code == 200
    assert [row["action"] for row in await listed(admin, target=fresh)] == ["model.remove", "model.add"]


async def test_what_fails_is_not_logged_as_done(app: Application, owner: Person) -> None:
    await owner.http.delete("/api/keys/key_nothing", headers=owner.headers)
    assert await listed(owner, target="key_nothing") == []


async def test_filters(app: Application, owner: Person) -> None:
    bad = {"email": owner.email, "password": "not this one"}
    await owner.http.post("/api/auth/login", json=bad)
    key_id = await key_of(owner)
    assert [row["target"] for row in await listed(owner, action="key.create")] == [key_id]
    assert {row["action"] for row in await listed(owner, action="session")} == {"session.begin"}
    assert await listed(owner, action="sess") == []
    assert [row["outcome"] for row in await listed(owner, outcome="refused")] == ["refused"]
    assert len(await listed(owner, actor=owner.id)) == len(await listed(owner))
    assert await listed(owner, actor="nobody") == []
    last = (await listed(owner))[0]
    assert [row["id"] for row in await listed(owner, since=last["created_at"])] == [last["id"]]
    assert last["id"] not in [row["id"] for row in await listed(owner, until=last["created_at"])]
    assert await listed(owner, since="2999-01-01T00:00:00") == []


async def test_pages_go_from_the_newest_to_the_first(app: Application, owner: Person) -> None:
    for _ in range(5):
        await key_of(owner)
    whole = [row["seq"] for row in await listed(owner)]
    assert whole == sorted(whole, reverse=True)
    found: list[int] = []
    after: dict[str, Any] = {}
    while True:
        answer = await owner.http.get(PATH, params={"limit": 2, **after}, headers=owner.headers)
        body = answer.json()
        found += [row["seq"] for row in body["data"]]
        if not body["has_more"]:
            break
        after = {"after": body["last_id"]}
    assert found == whole


async def test_others_entries_are_not_there(app: Application, owner: Person, fresh: str) -> None:
    other = await app.register(f"{fresh}-other", "owner", f"org_other_{fresh}")
    await key_of(other)
    assert {row["organization_id"] for row in await listed(owner)} == {owner.organization_id}
    assert await listed(owner, actor=other.id) == []


@pytest.mark.parametrize("path", [PATH, f"{PATH}/export"])
async def test_members_do_not_read_it(app: Application, fresh: str, path: str) -> None:
    member = await app.register(fresh)
    assert (await member.http.get(path, headers=member.headers)).status_code == 403
    assert (await member.http.get(path)).status_code == 401


REFUSED = ["limit=0", "limit=101", "after=0", "after=x", "after=9223372036854775808", "since=yesterday", "actor=",
           "action=" + "x" * 201]  # fmt: skip


@pytest.mark.parametrize("params", REFUSED)
async def test_what_is_no_question(app: Application, owner: Person, params: str) -> None:
    answer = await owner.http.get(f"{PATH}?{params}", headers=owner.headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, params.partition("=")[0])


async def test_an_export_can_be_verified_by_whoever_gets_it(
    app: Application, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.audit.EXPORT_PAGE", 3)
    for _ in range(5):
        await key_of(owner)
    answer = await owner.http.get(f"{PATH}/export", headers=owner.headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in answer.text.splitlines()]
    entries = [read(row) for row in rows]
    assert entries[-1].action == "audit.export"
    assert chain.verify(entries, chain.Head(owner.organization_id, entries[-1].seq, entries[-1].hash)) == []
    only = await owner.http.get(f"{PATH}/export", params={"action": "key"}, headers=owner.headers)
    assert {json.loads(line)["action"] for line in only.text.splitlines()} == {"key.create"}
    assert (await listed(owner))[0]["details"] == {"filter": {"action": "key"}}


def read(row: dict[str, Any]) -> Entry:
    """An exported line as an entry, without this project's own writer."""
    from datetime import datetime

    row["created_at"] = datetime.fromisoformat(row["created_at"])
    return Entry(**{**row, "previous_hash": bytes.fromhex(row["previous_hash"]), "hash": bytes.fromhex(row["hash"])})


@pytest.fixture(scope="module")
def many(postgres: EmbeddedPostgres) -> str:
    """100,000 entries, a hundred of them of another organization."""
    query(
        postgres,
        "INSERT INTO audit_log SELECT CASE WHEN n % 1000 = 0 THEN 'org_few' ELSE 'org_big' END, n,"
        " '2026-01-01'::timestamptz + n * interval '1 minute', 'user_' || n % 500,"
        " (ARRAY['session.begin', 'session.end', 'key.create', 'key.revoke', 'user.role'])[1 + n % 5],"
        " 'key_' || n % 9000,"
        " CASE WHEN n % 97 = 0 THEN 'refused' ELSE 'ok' END, '', '', '{}', '', '' FROM generate_series(1, 100000) n",
    )
    query(postgres, "ANALYZE audit_log")
    return "org_big"


FILTERS = {
    "all": Filter(),
    "actor": Filter(actor="user_7"),
    "action": Filter(action="key.create"),
    "thing": Filter(action="key"),
    "target": Filter(target="key_77"),
    "outcome": Filter(outcome="refused"),
    "since": Filter(since=chain.EPOCH.replace(year=2026, month=3)),
    "span": Filter(
        since=chain.EPOCH.replace(year=2026, month=2, day=1), until=chain.EPOCH.replace(year=2026, month=2, day=2)
    ),
    "actor and action": Filter(actor="user_7", action="key"),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("before", [None, 50_000])
async def test_no_question_reads_the_whole_table(app: Application, many: str, name: str, before: int | None) -> None:
    asked = audit_queries.newest_query(many, FILTERS[name], before, 21)
    statement = asked.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    async with app.services.database.unit(Scope(many)) as unit:
        plan = "\n".join(await unit.scalars(text(f"EXPLAIN {statement}".replace(":", "\\:"))))
        rows = await audit_queries.newest(unit, many, FILTERS[name], before=before, limit=21)
    assert "Seq Scan" not in plan, plan
    assert "Index" in plan
    assert len(rows) > 0 or name == "since"


async def test_the_first_password_is_not_in_it(app: Application, owner: Person) -> None:
    assert PASSWORD not in json.dumps(await listed(owner))
