"""Retention: what is older than its class allows goes, batch by batch, and the audit log says how much.

Defaults stand in the YAML, an organization may set its own, a team its own for its conversations, and a hold keeps
everything of its class whatever the days say: an organization's also what its teams have rules for.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api.audit.record import record
from api.db import privacy as queries
from api.db.session import Database, Unit
from configs.privacy_specs import RetentionSpec

CONVERSATIONS, USAGE, SESSIONS = "conversations", "usage", "sessions"
CLASSES = (CONVERSATIONS, USAGE, SESSIONS)
BY_TEAM = frozenset({CONVERSATIONS})


@dataclass(frozen=True, slots=True)
class Rule:
    """How long one class is kept, in an organization or (with `team_id`) in one team. `days` None keeps it."""

    data_class: str
    team_id: str
    days: int | None
    hold: bool = False
    own: bool = False


def effective(defaults: RetentionSpec, own: Sequence[Any]) -> list[Rule]:
    """The rules of an organization: its own where it has some, the defaults else."""
    rules = {(name, ""): Rule(name, "", getattr(defaults, name)) for name in CLASSES}
    for row in own:
        rules[row.data_class, row.team_id] = Rule(row.data_class, row.team_id, row.days, row.hold, own=True)
    return [rules[key] for key in sorted(rules)]


async def run(database: Database, defaults: RetentionSpec, now: datetime | None = None) -> dict[str, int]:
    """Remove everything that is too old, in every organization; how much of each class."""
    at, removed = now or datetime.now(UTC), dict.fromkeys(CLASSES, 0)
    async with database.unit() as unit:
        await queries.sweep(unit)
        organizations = await queries.organization_ids(unit)
    for organization_id in organizations:
        async with database.unit() as unit:
            rules = effective(defaults, await queries.rules(unit, organization_id))
        teams = [rule.team_id for rule in rules if rule.team_id]
        held = {rule.data_class for rule in rules if rule.hold and not rule.team_id}
        for rule in rules:
            if rule.days is None or rule.hold or rule.data_class in held:
                continue
            before = at - timedelta(days=rule.days)
            removed[rule.data_class] += await _apply(database, organization_id, rule, teams, before)
    return removed


async def _apply(database: Database, organization_id: str, rule: Rule, teams: list[str], before: datetime) -> int:
    async def conversations(unit: Unit) -> int:
        return await queries.remove_old_conversations(unit, organization_id, rule.team_id or None, teams, before)

    async def usage(unit: Unit) -> int:
        return await queries.remove_old_usage(unit, organization_id, before)

    async def sessions(unit: Unit) -> int:
        return await queries.remove_old_sessions(unit, organization_id, before)

    steps: dict[str, tuple[Callable[[Unit], Awaitable[int]], int]] = {
        CONVERSATIONS: (conversations, queries.BATCH),
        USAGE: (usage, queries.LARGE_BATCH),
        SESSIONS: (sessions, queries.BATCH),
    }
    step, batch = steps[rule.data_class]
    total = 0
    while True:
        async with database.unit() as unit:
            count = await step(unit)
            if count:
                await record(
                    unit,
                    None,
                    "retention.run",
                    organization_id=organization_id,
                    target=rule.data_class,
                    team=rule.team_id,
                    days=rule.days,
                    removed=count,
                )
        total += count
        if count < batch:
            return total
