"""Erasure of people with much behind them, of what they wrote to others, and of organizations."""

import io
import json
import zipfile

import httpx2
import pytest
from sqlalchemy import text

from api.control.jobs import Jobs
from api.db.session import Database
from api.privacy import ledger
from api.privacy.erase import replay
from configs.postgres import EmbeddedPostgres
from tests.api.routes.test_conversations import begun, call, said
from tests.api.routes.test_sharing import team_of
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query

SECRET = "a-crane-that-nobody-may-find"
MUCH = 12_000


async def erased(person: Person) -> None:
    answer = await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})
    assert answer.status_code == 202, answer.text


def report_of(postgres: EmbeddedPostgres, subject: str) -> dict[str, int] | None:
    ((done, report),) = query(postgres, "SELECT completed_at, report FROM erasures WHERE subject_id = %s", subject)
    return dict(report) if done is not None else None


async def test_jobs_have_no_limit_on_a_statement(jobs: Jobs, database: Database) -> None:
    for made, limit in ((jobs._database, "0"), (database, "5s")):
        async with made.unit() as unit:
            assert await unit.scalar(text("SHOW statement_timeout")) == limit


async def test_much_usage_is_no_obstacle(app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str) -> None:
    person = await app.register(fresh)
    query(
        postgres,
        "INSERT INTO usage (id, organization_id, user_id, model, route, status, prompt_tokens, completion_tokens,"
        " cached_tokens, duration_ms, created_at) SELECT %s || i, 'default', %s, 'm', '/v1/x', 200, 1, 1, 0, 1, now()"
        " FROM generate_series(1, %s) i",
        f"u_{fresh}_", person.id, MUCH,
    )  # fmt: skip
    plan = query(postgres, "EXPLAIN UPDATE usage SET user_id = NULL WHERE id IN"
                 " (SELECT id FROM usage WHERE user_id = 'user_none' LIMIT 5000)")  # fmt: skip
    assert "ix_usage_user_id" in str(plan)
    await erased(person)
    await jobs.run()
    report = report_of(postgres, person.id)
    assert report is not None
    assert report["usage_rows"] == MUCH
    assert query(postgres, "SELECT count(*) FROM usage WHERE id LIKE %s", f"u_{fresh}_%") == [(MUCH,)]


async def test_one_order_that_fails_holds_up_neither_others_nor_retention(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    stuck, other = await app.register(fresh), await app.register(f"{fresh}-other")
    old = (await begun(await app.register(f"{fresh}-old")))["id"]
    query(postgres, "UPDATE conversations SET updated_at = now() - interval '9000 days' WHERE id = %s", old)
    query(postgres, "INSERT INTO retention_rules VALUES ('default', '', 'conversations', 8000, false)")
    query(
        postgres,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
        f"CREATE TRIGGER refuse BEFORE DELETE ON users FOR EACH ROW WHEN (OLD.id = '{stuck.id}')"
        " EXECUTE FUNCTION refuse()",
    )
    try:
        await erased(stuck)
        await erased(other)
        jobs._kept_at = float("-inf")
        await jobs.run()
        assert report_of(postgres, stuck.id) is None
        assert report_of(postgres, other.id) is not None
        assert query(postgres, "SELECT 1 FROM conversations WHERE id = %s", old) == []
    finally:
        query(postgres, "DROP TRIGGER refuse ON users; DROP FUNCTION refuse()")
        query(postgres, "DELETE FROM retention_rules WHERE organization_id = 'default'")
    await jobs.run()
    assert report_of(postgres, stuck.id) is not None


async def test_what_somebody_wrote_to_others_is_exported_and_erased(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    org = f"org_{fresh}"
    owner, mate = await app.register(fresh, "owner", org), await app.register(f"{fresh}-m", "member", org)
    team = await team_of(owner, owner, mate)
    conversation = (await begun(owner, "ours", team_id=team))["id"]
    path = f"/api/conversations/{conversation}"
    theirs = await said(mate, conversation, SECRET)
    mine = await said(owner, conversation, "an answer", parent_id=theirs["id"])
    corrected = await said(owner, conversation, "first", parent_id=theirs["id"])
    body = {"version": 1, "content": f"{SECRET} again"}
    assert (await call(mate, "PATCH", f"{path}/messages/{corrected['id']}", body)).status_code == 200
    assert (theirs["author_id"], mine["author_id"]) == (mate.id, owner.id)
    archive = zipfile.ZipFile(io.BytesIO((await call(mate, "GET", "/api/auth/export")).content))
    lines = [json.loads(line) for line in archive.read(f"{org}/messages.jsonl").splitlines()]
    assert {line["id"]: line["content"] for line in lines} == {
        theirs["id"]: SECRET, corrected["id"]: f"{SECRET} again",
    }  # fmt: skip
    await erased(mate)
    await jobs.run()
    app.services.vault.forget()
    told = {each["id"]: each for each in (await call(owner, "GET", f"{path}/messages")).json()["data"]}
    for gone in (theirs["id"], corrected["id"]):
        assert (told[gone]["content"], told[gone]["erased"], told[gone]["author_id"]) == (None, True, None)
    assert (told[mine["id"]]["content"], told[mine["id"]]["parent_id"]) == ("an answer", theirs["id"])
    version = (await call(owner, "GET", path)).json()["version"]
    alone = await call(owner, "PATCH", path, {"version": version, "team_id": None})
    assert (alone.status_code, alone.json()["team_id"]) == (200, None)
    report = report_of(postgres, mate.id)
    assert report is not None
    assert report["messages"] == 2


@pytest.fixture
async def installation(app: Application, fresh: str) -> Person:
    return await app.register(f"{fresh}-installation", "owner")


async def test_an_organization_goes_with_its_keys_and_rows(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, installation: Person, fresh: str
) -> None:
    org = f"org_{fresh}"
    owner, mate = await app.register(fresh, "owner", org), await app.register(f"{fresh}-m", "member", org)
    team = await team_of(owner, owner, mate)
    shared, private = (await begun(owner, SECRET, team_id=team))["id"], (await begun(mate, SECRET))["id"]
    await said(mate, shared, SECRET)
    key = (await call(owner, "POST", "/api/keys", {"name": "k"})).json()["key"]
    query(postgres, "INSERT INTO usage (id, organization_id, model, route, status, prompt_tokens, completion_tokens,"
          " cached_tokens, duration_ms, created_at) VALUES (%s, %s, 'm', '/v1/x', 200, 1, 1, 0, 1, now())",
          f"u_{fresh}", org)  # fmt: skip
    path = f"/api/organizations/{org}"
    assert (await call(owner, "DELETE", path)).status_code == 403
    assert (await call(installation, "DELETE", "/api/organizations/org_nothing")).status_code == 404
    assert (await call(installation, "DELETE", "/api/organizations/default")).status_code == 409
    answer = await call(installation, "DELETE", path)
    assert (answer.status_code, answer.json()["organization_id"]) == (202, org)
    for headers in (owner.headers, {"authorization": f"Bearer {key}"}):
        assert (await owner.http.get("/api/teams", headers=headers)).status_code == 401
    ids = [shared, private]
    await jobs.run()
    tables = ("data_keys", "conversations", "messages", "usage", "memberships", "teams", "api_keys", "sessions")
    for table in tables:
        assert query(postgres, f"SELECT 1 FROM {table} WHERE organization_id = %s", org) == [], table
    assert query(postgres, "SELECT 1 FROM organizations WHERE id = %s", org) == []
    report = report_of(postgres, org)
    assert report is not None
    assert (report["conversations"], report["data_keys"] >= 2, report["usage_rows"]) == (len(ids), True, 1)
    acts = query(postgres, "SELECT action, actor FROM audit_log WHERE organization_id = 'default' AND target = %s"
                 " ORDER BY seq", org)  # fmt: skip
    assert acts == [("organization.erase", installation.id), ("organization.erased", "system")]
    assert query(postgres, "SELECT count(*) > 0 FROM audit_log WHERE organization_id = %s", org) == [(True,)]
    await check_restored(app, postgres, jobs, org)


async def check_restored(app: Application, postgres: EmbeddedPostgres, jobs: Jobs, org: str) -> None:
    """A backup from before has it again, until the ledger is replayed."""
    query(postgres, "INSERT INTO organizations (id, name) VALUES (%s, 'back')", org)
    query(postgres, "UPDATE erasures SET completed_at = NULL WHERE subject_id = %s", org)
    assert await replay(jobs._database, ledger.entries(app.services.cluster.data_dir)) == 1
    assert query(postgres, "SELECT 1 FROM organizations WHERE id = %s", org) == []


async def test_a_hold_of_the_organization_keeps_what_a_team_would_remove(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    owner = await app.register(fresh, "owner", f"org_{fresh}")
    team = await team_of(owner, owner)
    conversation = (await begun(owner, "evidence", team_id=team))["id"]
    query(postgres, "UPDATE conversations SET updated_at = now() - interval '3 days' WHERE id = %s", conversation)

    async def rule(**fields: object) -> httpx2.Response:
        return await call(owner, "PUT", "/api/admin/retention", {"data_class": "conversations", **fields})

    assert (await rule(hold=True)).status_code == 200
    assert (await rule(team_id=team, days=1)).status_code == 200
    for held in (True, False):
        assert (await rule(hold=held)).status_code == 200
        jobs._kept_at = float("-inf")
        await jobs.run()
        left = query(postgres, "SELECT 1 FROM conversations WHERE id = %s", conversation)
        assert bool(left) is held


async def test_old_sessions_go_batch_by_batch(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    owner = await app.register(fresh, "owner", f"org_{fresh}")
    query(
        postgres,
        "INSERT INTO sessions (id, user_id, organization_id, methods, expires_at) SELECT %s || i, %s, %s, '{}',"
        " now() - interval '200 days' FROM generate_series(1, 1200) i",
        f"ses_{fresh}_", owner.id, owner.organization_id,
    )  # fmt: skip
    jobs._kept_at = float("-inf")
    await jobs.run()
    assert query(postgres, "SELECT 1 FROM sessions WHERE id LIKE %s", f"ses_{fresh}_%") == []
    runs = query(
        postgres,
        "SELECT details::json->>'removed' FROM audit_log WHERE organization_id = %s AND action = 'retention.run'"
        " ORDER BY seq",
        owner.organization_id,
    )
    assert [count for (count,) in runs] == ["500", "500", "200"]
