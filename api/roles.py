"""What roles mean. Four are built in; an organization adds its own, made of named permissions."""

from collections.abc import Iterable

from api.principal import EVERYTHING, PERSONAL, Permission

OWNER, ADMIN, MEMBER, VIEWER = "owner", "admin", "member", "viewer"

BUILT_IN: dict[str, frozenset[str]] = {
    OWNER: frozenset({EVERYTHING}),
    ADMIN: frozenset(Permission) - PERSONAL,
    MEMBER: frozenset(
        {
            Permission.INFERENCE,
            Permission.MODELS_READ,
            Permission.KEYS_READ,
            Permission.KEYS_WRITE,
            Permission.CONVERSATIONS_READ,
            Permission.CONVERSATIONS_WRITE,
            Permission.FILES_READ,
            Permission.FILES_WRITE,
            Permission.KNOWLEDGE_READ,
            Permission.KNOWLEDGE_WRITE,
            Permission.TEAMS_READ,
        }
    ),
    VIEWER: frozenset(
        {
            Permission.MODELS_READ,
            Permission.CONVERSATIONS_READ,
            Permission.FILES_READ,
            Permission.KNOWLEDGE_READ,
            Permission.TEAMS_READ,
        }
    ),
}
"""Strongest first. Only an owner makes owners."""


def permissions_of(role: str | None, custom: Iterable[str] | None = None) -> frozenset[str]:
    """The permissions of a role: the built-in one of that name, else those of its row, else none."""
    if role in BUILT_IN:
        return BUILT_IN[role]
    return frozenset(custom or ())


def narrowed(permissions: frozenset[str], by: frozenset[str]) -> frozenset[str]:
    """What both hold, `*` being all."""
    if EVERYTHING in by:
        return permissions
    if EVERYTHING in permissions:
        return by
    return permissions & by


def covers(holder: frozenset[str], asked: Iterable[str]) -> bool:
    """Whether who holds `holder` may hand out `asked`: never more than they have."""
    return EVERYTHING in holder or frozenset(asked) <= holder
