"""The privacy class of every column. A column that is not here fails a test: whoever adds one decides.

| class | what it is |
|---|---|
| `id` | names a row or a person by random digits, some with the time it was made; after an erasure it names nobody |
| `contact` | names a person to others: address, name, what a provider calls them |
| `fact` | says something about a person: when, from where, how much |
| `content` | what people wrote, sealed with their key |
| `secret` | a digest, a hash or a wrapped key; useless without what it was made of |
| `none` | says nothing about a person |
"""

CLASSES: dict[str, dict[str, str]] = {}


def _table(name: str, **columns: str) -> None:
    CLASSES[name] = {column: kind for kind, names in columns.items() for column in names.split()}


_table("organizations", id="id", none="name settings created_at")
_table("models", none="name spec origin created_at updated_at")
_table(
    "usage",
    id="id organization_id api_key_id user_id",
    fact="model route status prompt_tokens completion_tokens cached_tokens duration_ms created_at",
)
_table(
    "users",
    id="id",
    contact="email name",
    secret="password_hash",  # noqa: S106  a class of columns
    fact="status email_verified_at last_login_at created_at updated_at",
)
_table("identities", id="id user_id", contact="subject email", fact="provider issuer created_at last_used_at")
_table(
    "sessions",
    id="id user_id organization_id",
    secret="family",  # noqa: S106
    none="renewals",
    fact="methods user_agent address created_at authenticated_at last_used_at expires_at ended_at",
)
_table("refresh_tokens", id="session_id user_id", secret="digest", none="number created_at used_at")  # noqa: S106
_table("one_time_tokens", id="user_id", contact="email", secret="digest", none="purpose created_at expires_at used_at")  # noqa: S106
_table("totp_secrets", id="user_id data_key_id", secret="secret", fact="confirmed_at created_at", none="last_step")  # noqa: S106
_table("recovery_codes", id="user_id", secret="digest", none="used_at created_at")  # noqa: S106
_table(
    "passkeys",
    id="id user_id",
    secret="credential_id user_handle public_key sign_count",  # noqa: S106
    fact="name created_at last_used_at",
)
_table("ceremonies", secret="digest payload", none="kind created_at expires_at")  # noqa: S106
_table("throttles", secret="key", none="count window_ends_at blocked_until")  # noqa: S106
_table("roles", id="organization_id", none="name permissions created_at")
_table("memberships", id="organization_id user_id", fact="role created_at")
_table("former_members", id="organization_id user_id", fact="role left_at")
_table(
    "directory_users",
    id="organization_id user_id",
    contact="user_name external_id profile",
    fact="provisioned created_at updated_at",
)
_table("invitations", id="id organization_id invited_by", contact="email", secret="digest",  # noqa: S106
       none="role created_at expires_at used_at")  # fmt: skip
_table("teams", id="id organization_id external_id", none="name created_at updated_at")
_table("team_members", id="team_id user_id organization_id", fact="created_at")
_table("projects", id="id organization_id team_id", none="name created_at")
_table(
    "api_keys",
    id="id organization_id user_id project_id",
    secret="digest",  # noqa: S106
    fact="name prefix permissions models created_at expires_at revoked_at last_used_at",
)
_table("data_keys", id="id organization_id owner_id", secret="wrapped", none="owner_kind master_key_id created_at")  # noqa: S106
_table("master_keys", secret="check_value", none="id created_at")  # noqa: S106
_table(
    "conversations",
    id="id organization_id user_id team_id project_id data_key_id current_message_id",
    content="title",
    fact="archived version created_at updated_at",
)
_table(
    "messages",
    id="id organization_id conversation_id parent_id author_id data_key_id",
    content="content",
    fact="seq branch version role model created_at",
)
_table(
    "files",
    id="id organization_id user_id data_key_id",
    content="name",
    fact="purpose size expires_at created_at",
    secret="digest",  # noqa: S106  a class of columns
    none="blob",
)
_table("file_totals", id="organization_id owner_id", fact="bytes")
_table(
    "vector_stores",
    id="id organization_id user_id data_key_id index_of index_id",
    content="about",
    fact="embedding_model dimensions expires_after_days last_active_at created_at",
    none="probe seq next_chunk index_since retired",
)
_table(
    "vector_store_file_batches",
    id="id organization_id user_id vector_store_id file_ids",
    fact="cancelled created_at",
)
_table(
    "vector_store_files",
    id="vector_store_id file_id organization_id user_id batch_id",
    content="attributes notes",
    fact="status error_code error_message max_tokens overlap_tokens usage_bytes chunk_count created_at",
    none="described_seq sizes_before epoch attempts leased_until",
)
_table("chunks", id="vector_store_id id file_id organization_id user_id", content="content vectors", none="seq number")
_table("vector_store_changes", id="vector_store_id organization_id", none="seq chunk_ids created_at")
_table("idempotency_keys", id="organization_id data_key_id", secret="digest request_digest",  # noqa: S106
       content="response", none="status headers created_at")  # fmt: skip
_table("imported", id="organization_id external_id row_id", none="source kind created_at")
_table("audit_heads", id="organization_id", none="seq hash")
_table(
    "audit_log",
    id="organization_id actor target request_id",
    fact="created_at action outcome address details",
    none="seq previous_hash hash",
)
_table("consents", id="id user_id", fact="document version given created_at")
_table("legal_documents", none="document version text created_at")
_table("retention_rules", id="organization_id team_id", none="data_class days hold updated_at")
_table(
    "erasures", id="id organization_id subject_id data_key_ids", none="subject_kind requested_at completed_at report"
)

EXPORTED = frozenset(
    {"users", "identities", "sessions", "passkeys", "memberships", "former_members", "directory_users",
     "team_members", "api_keys",
     "conversations", "messages", "files", "vector_stores", "vector_store_files", "usage", "consents", "audit_log"}
)  # fmt: skip
"""Tables of which a person's export has the person's rows."""
NOT_EXPORTED = {
    "organizations": "the organization's, named in the memberships",
    "models": "the installation's",
    "refresh_tokens": "digests; the sessions stand for them",
    "one_time_tokens": "digests of links that were sent",
    "totp_secrets": "whether there is one stands with the user; the secret itself would weaken it",
    "recovery_codes": "digests",
    "ceremonies": "sign-ins of the last minutes",
    "throttles": "digests, for 30 days at most",
    "roles": "the organization's",
    "invitations": "the organization's",
    "teams": "the organization's, named in the memberships",
    "projects": "the organization's",
    "data_keys": "keys; the content is there in the open",
    "master_keys": "the installation's",
    "file_totals": "the sum of the files' sizes, which are exported",
    "vector_store_file_batches": "which files came together",
    "chunks": "made of the files, which are exported",
    "vector_store_changes": "numbers of changes, and of chunks that are gone",
    "idempotency_keys": "copies of answers, for a day",
    "imported": "where rows came from, by id",
    "audit_heads": "the organization's",
    "legal_documents": "public",
    "retention_rules": "the organization's",
    "erasures": "ids of what was erased",
}
