"""Who asks: one value, whatever the way they proved it."""

from dataclasses import dataclass
from enum import StrEnum

from api.scope import DEFAULT_ORGANIZATION, Scope


class Permission(StrEnum):
    """What a route may ask for. Roles and keys hold some of them; `*` holds all but the two on `account`."""

    ACCOUNT = "account"
    ACCOUNT_FULL = "account:full"
    INFERENCE = "inference"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    KEYS_MANAGE = "keys:manage"
    CONVERSATIONS_READ = "conversations:read"
    CONVERSATIONS_WRITE = "conversations:write"
    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    KNOWLEDGE_READ = "knowledge:read"
    KNOWLEDGE_WRITE = "knowledge:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    ROLES_WRITE = "roles:write"
    TEAMS_READ = "teams:read"
    TEAMS_WRITE = "teams:write"
    USAGE_READ = "usage:read"
    AUDIT_READ = "audit:read"
    PRIVACY_WRITE = "privacy:write"
    ORGANIZATION_WRITE = "organization:write"
    ORGANIZATIONS_WRITE = "organizations:write"
    SCIM = "scim"
    METRICS_READ = "metrics:read"


EVERYTHING = "*"
PERSONAL = frozenset({Permission.ACCOUNT, Permission.ACCOUNT_FULL})
"""What only a signed-in person may do, never a key. `account`: see sessions and end them, set up and show a second
factor. `account:full` is not for a session that lacks one: change a password, take one's data away, erase oneself."""
OF_THE_INSTALLATION = frozenset({Permission.MODELS_WRITE, Permission.METRICS_READ, Permission.ORGANIZATIONS_WRITE})
"""What concerns every organization: it counts in the one that runs the installation only."""
GRANTABLE = frozenset(Permission) - PERSONAL | {EVERYTHING}
"""What a key or a role may hold."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: a person's session, a person's key, or an organization's key."""

    organization_id: str
    permissions: frozenset[str]
    key_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    models: frozenset[str] | None = None
    """The names it may call; None is all."""
    needs_second_factor: bool = False
    """Its role demands one and it has none yet, or this session did not show it: it may only reach its own account."""
    has_second_factor: bool = False

    @property
    def scope(self) -> Scope:
        """For whom its units of work are."""
        return Scope(self.organization_id, self.user_id or "")

    @property
    def actor(self) -> str:
        """Its name in the audit log, before people are made pseudonyms."""
        return self.user_id or self.key_id or "system"

    def may(self, permission: Permission) -> bool:
        """Whether this caller holds `permission`."""
        if permission in PERSONAL:
            return self.session_id is not None and (permission is Permission.ACCOUNT or not self.needs_second_factor)
        if self.needs_second_factor or (
            permission in OF_THE_INSTALLATION and self.organization_id != DEFAULT_ORGANIZATION
        ):
            return False
        return permission in self.permissions or EVERYTHING in self.permissions

    def may_call(self, model: str) -> bool:
        """Whether it may use this model."""
        return self.models is None or model in self.models
