"""The tables. "Models" here are rows of the served-models table, never ORM classes of that name.

Importing this package makes the metadata whole.
"""

from api.db.tables.accounts import (
    Ceremony,
    Identity,
    OneTimeToken,
    Passkey,
    RecoveryCode,
    RefreshToken,
    Session,
    Throttle,
    TotpSecret,
    User,
)
from api.db.tables.base import Base
from api.db.tables.content import Conversation, DataKey, IdempotencyKey, Imported, MasterKeyCheck, Message
from api.db.tables.files import File, FileTotal
from api.db.tables.installation import Organization, ServedModel
from api.db.tables.knowledge import Chunk, VectorStore, VectorStoreChange, VectorStoreFile, VectorStoreFileBatch
from api.db.tables.organization import (
    ApiKey,
    DirectoryUser,
    FormerMember,
    Invitation,
    Membership,
    Project,
    Role,
    Team,
    TeamMember,
)
from api.db.tables.privacy import AuditHead, AuditRow, Consent, Erasure, LegalDocument, RetentionRule
from api.db.tables.usage import UsageRow

__all__ = [
    "ApiKey",
    "AuditHead",
    "AuditRow",
    "Base",
    "Ceremony",
    "Chunk",
    "Consent",
    "Conversation",
    "DataKey",
    "DirectoryUser",
    "Erasure",
    "File",
    "FileTotal",
    "FormerMember",
    "IdempotencyKey",
    "Identity",
    "Imported",
    "Invitation",
    "LegalDocument",
    "MasterKeyCheck",
    "Membership",
    "Message",
    "OneTimeToken",
    "Organization",
    "Passkey",
    "Project",
    "RecoveryCode",
    "RefreshToken",
    "RetentionRule",
    "Role",
    "ServedModel",
    "Session",
    "Team",
    "TeamMember",
    "Throttle",
    "TotpSecret",
    "UsageRow",
    "User",
    "VectorStore",
    "VectorStoreChange",
    "VectorStoreFile",
    "VectorStoreFileBatch",
]
