-- The tables of accounts, organizations, content and privacy. Their shapes in Python: api/db/tables.
ALTER TABLE organizations ADD COLUMN settings JSONB DEFAULT '{}' NOT NULL;
CREATE TABLE audit_heads (
    organization_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT pk_audit_heads PRIMARY KEY (organization_id)
);
CREATE TABLE audit_log (
    organization_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    details TEXT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (organization_id, seq)
);
CREATE INDEX ix_audit_log_organization_id_action_seq ON audit_log (organization_id, action, seq);
CREATE INDEX ix_audit_log_organization_id_actor_seq ON audit_log (organization_id, actor, seq);
CREATE INDEX ix_audit_log_organization_id_created_at ON audit_log (organization_id, created_at);
CREATE INDEX ix_audit_log_organization_id_target_seq ON audit_log (organization_id, target, seq);
CREATE INDEX ix_audit_log_not_ok ON audit_log (organization_id, outcome, seq) WHERE outcome <> 'ok';
CREATE TABLE ceremonies (
    digest BYTEA NOT NULL,
    kind TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_ceremonies PRIMARY KEY (digest),
    CONSTRAINT ck_ceremonies_digest CHECK (length(digest) = 32)
);
CREATE INDEX ix_ceremonies_expires_at ON ceremonies (expires_at);
CREATE TABLE erasures (
    id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    data_key_ids TEXT[] NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    report JSONB DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_erasures PRIMARY KEY (id)
);
CREATE TABLE legal_documents (
    document TEXT NOT NULL,
    version TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_legal_documents PRIMARY KEY (document, version)
);
CREATE TABLE master_keys (
    id TEXT NOT NULL,
    check_value BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_master_keys PRIMARY KEY (id)
);
CREATE TABLE throttles (
    key BYTEA NOT NULL,
    count INTEGER NOT NULL,
    window_ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    blocked_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_throttles PRIMARY KEY (key)
);
CREATE INDEX ix_throttles_window_ends_at ON throttles (window_ends_at);
CREATE TABLE users (
    id TEXT NOT NULL,
    email TEXT,
    name TEXT DEFAULT '' NOT NULL,
    password_hash TEXT,
    status TEXT DEFAULT 'active' NOT NULL CONSTRAINT ck_users_status CHECK (status IN ('active', 'disabled', 'erased')),
    email_verified_at TIMESTAMP WITH TIME ZONE,
    last_login_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_email UNIQUE (email)
);
CREATE TABLE consents (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    document TEXT NOT NULL,
    version TEXT NOT NULL,
    given BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_consents PRIMARY KEY (id),
    CONSTRAINT fk_consents_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_consents_user_id ON consents (user_id);
CREATE TABLE data_keys (
    id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    owner_kind TEXT NOT NULL CONSTRAINT ck_data_keys_owner_kind CHECK (owner_kind IN ('user', 'team', 'organization')),
    owner_id TEXT NOT NULL,
    master_key_id TEXT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_data_keys PRIMARY KEY (id),
    CONSTRAINT uq_data_keys_organization_id_owner_kind_owner_id UNIQUE (organization_id, owner_kind, owner_id),
    CONSTRAINT fk_data_keys_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE INDEX ix_data_keys_master_key_id ON data_keys (master_key_id);
CREATE TABLE directory_users (
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    external_id TEXT,
    profile JSONB NOT NULL,
    provisioned BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_directory_users PRIMARY KEY (organization_id, user_id),
    CONSTRAINT fk_directory_users_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE,
    CONSTRAINT fk_directory_users_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_directory_users_user_name ON directory_users (organization_id, lower(user_name));
CREATE INDEX ix_directory_users_organization_id_external_id ON directory_users (organization_id, external_id);
CREATE INDEX ix_directory_users_user_id ON directory_users (user_id);
CREATE TABLE idempotency_keys (
    organization_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    request_digest BYTEA NOT NULL,
    status INTEGER,
    headers JSONB,
    data_key_id TEXT,
    response BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (organization_id, digest),
    CONSTRAINT fk_idempotency_keys_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE TABLE identities (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    email TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_identities PRIMARY KEY (id),
    CONSTRAINT uq_identities_issuer_subject UNIQUE (issuer, subject),
    CONSTRAINT fk_identities_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_identities_user_id ON identities (user_id);
CREATE TABLE imported (
    organization_id TEXT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    external_id TEXT NOT NULL,
    row_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_imported PRIMARY KEY (organization_id, source, kind, external_id),
    CONSTRAINT fk_imported_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE INDEX ix_imported_row_id ON imported (row_id);
CREATE TABLE invitations (
    id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    organization_id TEXT NOT NULL,
    email TEXT,
    role TEXT NOT NULL,
    invited_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_invitations PRIMARY KEY (id),
    CONSTRAINT ck_invitations_digest CHECK (length(digest) = 32),
    CONSTRAINT uq_invitations_digest UNIQUE (digest),
    CONSTRAINT fk_invitations_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE INDEX ix_invitations_organization_id ON invitations (organization_id);
CREATE TABLE memberships (
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_memberships PRIMARY KEY (organization_id, user_id),
    CONSTRAINT fk_memberships_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE,
    CONSTRAINT fk_memberships_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_memberships_user_id ON memberships (user_id);
CREATE TABLE former_members (
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    left_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_former_members PRIMARY KEY (organization_id, user_id),
    CONSTRAINT fk_former_members_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE,
    CONSTRAINT fk_former_members_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_former_members_user_id ON former_members (user_id);
CREATE TABLE one_time_tokens (
    digest BYTEA NOT NULL,
    purpose TEXT NOT NULL,
    user_id TEXT,
    email TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_one_time_tokens PRIMARY KEY (digest),
    CONSTRAINT ck_one_time_tokens_digest CHECK (length(digest) = 32),
    CONSTRAINT fk_one_time_tokens_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_one_time_tokens_user_id ON one_time_tokens (user_id);
CREATE TABLE passkeys (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    credential_id BYTEA NOT NULL,
    user_handle BYTEA NOT NULL,
    public_key BYTEA NOT NULL,
    sign_count BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_passkeys PRIMARY KEY (id),
    CONSTRAINT fk_passkeys_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT uq_passkeys_credential_id UNIQUE (credential_id)
);
CREATE INDEX ix_passkeys_user_id ON passkeys (user_id);
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, digest),
    CONSTRAINT ck_recovery_codes_digest CHECK (length(digest) = 32),
    CONSTRAINT fk_recovery_codes_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE retention_rules (
    organization_id TEXT NOT NULL,
    team_id TEXT DEFAULT '' NOT NULL,
    data_class TEXT NOT NULL,
    days INTEGER,
    hold BOOLEAN NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_retention_rules PRIMARY KEY (organization_id, team_id, data_class),
    CONSTRAINT fk_retention_rules_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE TABLE roles (
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_roles PRIMARY KEY (organization_id, name),
    CONSTRAINT fk_roles_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE TABLE sessions (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    family BYTEA,
    renewals BIGINT DEFAULT '0' NOT NULL,
    methods TEXT[] NOT NULL,
    user_agent TEXT DEFAULT '' NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    authenticated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_family UNIQUE (family),
    CONSTRAINT fk_sessions_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_sessions_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);
CREATE INDEX ix_sessions_organization_id ON sessions (organization_id);
CREATE INDEX ix_sessions_user_id ON sessions (user_id);
CREATE TABLE teams (
    id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    external_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_teams PRIMARY KEY (id),
    CONSTRAINT uq_teams_organization_id_name UNIQUE (organization_id, name),
    CONSTRAINT uq_teams_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_teams_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE TABLE totp_secrets (
    user_id TEXT NOT NULL,
    data_key_id TEXT NOT NULL,
    secret BYTEA NOT NULL,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    last_step BIGINT DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_totp_secrets PRIMARY KEY (user_id),
    CONSTRAINT fk_totp_secrets_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE projects (
    id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    team_id TEXT,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_projects PRIMARY KEY (id),
    CONSTRAINT uq_projects_organization_id_name UNIQUE (organization_id, name),
    CONSTRAINT fk_projects_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE,
    CONSTRAINT fk_projects_team_id FOREIGN KEY(team_id) REFERENCES teams (id) ON DELETE SET NULL
);
CREATE INDEX ix_projects_team_id ON projects (team_id);
CREATE TABLE refresh_tokens (
    digest BYTEA NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    number BIGINT DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_refresh_tokens PRIMARY KEY (digest),
    CONSTRAINT ck_refresh_tokens_digest CHECK (length(digest) = 32),
    CONSTRAINT fk_refresh_tokens_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_refresh_tokens_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_refresh_tokens_session_id ON refresh_tokens (session_id);
CREATE TABLE team_members (
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_team_members PRIMARY KEY (team_id, user_id),
    CONSTRAINT fk_team_members_organization_id_team_id FOREIGN KEY(organization_id, team_id) REFERENCES teams (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_team_members_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES memberships (organization_id, user_id) ON DELETE CASCADE
);
CREATE INDEX ix_team_members_organization_id_user_id ON team_members (organization_id, user_id);
CREATE INDEX ix_team_members_user_id ON team_members (user_id);
CREATE TABLE conversations (
    id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    team_id TEXT,
    project_id TEXT,
    data_key_id TEXT NOT NULL,
    title BYTEA NOT NULL,
    current_message_id TEXT,
    archived BOOLEAN DEFAULT false NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_conversations PRIMARY KEY (id),
    CONSTRAINT fk_conversations_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE,
    CONSTRAINT fk_conversations_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_conversations_team_id_user_id FOREIGN KEY(team_id, user_id) REFERENCES team_members (team_id, user_id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_conversations_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE SET NULL
);
CREATE INDEX ix_conversations_list ON conversations (organization_id, user_id, updated_at DESC, id DESC);
CREATE INDEX ix_conversations_project_id ON conversations (project_id);
CREATE INDEX ix_conversations_team ON conversations (team_id, updated_at DESC, id DESC);
CREATE TABLE messages (
    id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    parent_id TEXT,
    seq BIGINT NOT NULL,
    branch INTEGER NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    role TEXT NOT NULL CONSTRAINT ck_messages_role CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    model TEXT,
    author_id TEXT,
    data_key_id TEXT NOT NULL,
    content BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_messages PRIMARY KEY (id),
    CONSTRAINT fk_messages_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (id) ON DELETE CASCADE,
    CONSTRAINT fk_messages_conversation_id FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE,
    CONSTRAINT fk_messages_parent_id FOREIGN KEY(parent_id) REFERENCES messages (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX ix_messages_conversation_id_seq ON messages (conversation_id, seq);
CREATE INDEX ix_messages_organization_id_created_at ON messages (organization_id, created_at);
CREATE INDEX ix_messages_author_id ON messages (author_id) WHERE author_id IS NOT NULL;
CREATE INDEX ix_messages_parent_id ON messages (parent_id);
ALTER TABLE api_keys
    ADD COLUMN user_id TEXT CONSTRAINT fk_api_keys_user_id REFERENCES users (id) ON DELETE CASCADE,
    ADD COLUMN project_id TEXT CONSTRAINT fk_api_keys_project_id REFERENCES projects (id) ON DELETE SET NULL,
    ADD COLUMN models TEXT[],
    ADD COLUMN last_used_at TIMESTAMP WITH TIME ZONE,
    DROP CONSTRAINT fk_api_keys_organization_id,
    ADD CONSTRAINT fk_api_keys_organization_id FOREIGN KEY (organization_id) REFERENCES organizations (id) ON DELETE CASCADE;
DROP INDEX ix_api_keys_organization_id;
CREATE INDEX ix_api_keys_organization_id_created_at ON api_keys (organization_id, created_at);
CREATE INDEX ix_api_keys_user_id ON api_keys (user_id);
ALTER TABLE usage ADD COLUMN user_id TEXT, ALTER COLUMN api_key_id DROP NOT NULL;
CREATE INDEX ix_usage_organization_id_user_id_created_at ON usage (organization_id, user_id, created_at);
CREATE INDEX ix_usage_user_id ON usage (user_id) WHERE user_id IS NOT NULL;
