"""Data keys: whose they are, and how a master key wraps one."""

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from typing import Literal

from api.scope import Scope
from configs.keyring import MasterKey
from configs.seal import KEY_BYTES, fields, open_sealed, seal

OwnerKind = Literal["user", "team", "organization"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose content it is: a user's for what is private, a team's or an organization's for what is shared."""

    kind: OwnerKind
    id: str
    organization_id: str


def owner_of_caller(scope: Scope) -> Owner:
    """Whose the content of a caller is: the person's, or the organization's where none of its people asks."""
    if scope.user_id:
        return Owner("user", scope.user_id, scope.organization_id)
    return Owner("organization", scope.organization_id, scope.organization_id)


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key that seals an owner's content, and the id that rows know it by."""

    id: str
    key: bytes = field(repr=False)


def fresh_key() -> bytes:
    """A new data key."""
    return os.urandom(KEY_BYTES)


def wrap(master: MasterKey, key_id: str, owner: Owner, key: bytes) -> bytes:
    """A data key as the database keeps it. It opens under this id and for this owner only."""
    return seal(master.key, key, _binding(key_id, owner))


def unwrap(master: MasterKey, key_id: str, owner: Owner, wrapped: bytes) -> DataKey:
    """The data key.

    Raises:
        Unreadable: it was wrapped by another master key or for another row, or was changed.
    """
    return DataKey(key_id, open_sealed(master.key, wrapped, _binding(key_id, owner)))


def check_value(master: MasterKey) -> bytes:
    """What tells a master key from another one of the same name, and nothing about the key itself."""
    return hmac.digest(master.key, fields("manta master key", master.id), hashlib.sha256)


def _binding(key_id: str, owner: Owner) -> bytes:
    return fields("manta data key", key_id, owner.kind, owner.id, owner.organization_id)
