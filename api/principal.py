"""Who asks: one value, whatever the way they proved it."""

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """What a route may ask for. A key holds some of them; `*` holds all."""

    INFERENCE = "inference"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    METRICS_READ = "metrics:read"


EVERYTHING = "*"
GRANTABLE = frozenset(Permission) | {EVERYTHING}
"""What a key may hold."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    organization_id: str
    key_id: str
    permissions: frozenset[str]

    def may(self, permission: Permission) -> bool:
        """Whether this caller holds `permission`."""
        return permission in self.permissions or EVERYTHING in self.permissions
