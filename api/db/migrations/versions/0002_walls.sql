-- Row level security: the second wall. A unit of work says who asks (api/db/session.py); who says nothing sees nothing.
CREATE FUNCTION manta_org() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('manta.org', true), '');
CREATE FUNCTION manta_user() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('manta.user', true), '');

CREATE FUNCTION pg_temp.wall(tab text, visible text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tab);
    EXECUTE format('CREATE POLICY tenant ON %I TO manta_app USING (%s) WITH CHECK (%s)', tab, visible, visible);
    EXECUTE format('CREATE POLICY jobs ON %I TO manta_jobs USING (true) WITH CHECK (true)', tab);
    EXECUTE format('CREATE POLICY lookup ON %I FOR SELECT TO manta_lookup USING (true)', tab);
END $$;

SELECT pg_temp.wall(tab, visible) FROM (VALUES
    ('organizations', $$id = manta_org() OR EXISTS
        (SELECT FROM memberships m WHERE m.organization_id = organizations.id AND m.user_id = manta_user())$$),
    ('users', $$id = manta_user() OR EXISTS
        (SELECT FROM memberships m WHERE m.user_id = users.id AND m.organization_id = manta_org())$$),
    ('memberships', $$organization_id = manta_org() OR user_id = manta_user()$$),
    ('former_members', $$organization_id = manta_org() OR user_id = manta_user()$$),
    ('identities', $$user_id = manta_user()$$),
    ('sessions', $$user_id = manta_user() OR organization_id = manta_org()$$),
    ('refresh_tokens', $$user_id = manta_user()$$),
    ('one_time_tokens', $$user_id = manta_user() OR (user_id IS NULL AND manta_org() = 'default')$$),
    ('totp_secrets', $$user_id = manta_user() OR EXISTS
        (SELECT FROM memberships m WHERE m.user_id = totp_secrets.user_id AND m.organization_id = manta_org())$$),
    ('recovery_codes', $$user_id = manta_user() OR EXISTS
        (SELECT FROM memberships m WHERE m.user_id = recovery_codes.user_id AND m.organization_id = manta_org())$$),
    ('passkeys', $$user_id = manta_user() OR EXISTS
        (SELECT FROM memberships m WHERE m.user_id = passkeys.user_id AND m.organization_id = manta_org())$$),
    ('consents', $$user_id = manta_user()$$),
    ('directory_users', $$organization_id = manta_org()$$),
    ('roles', $$organization_id = manta_org()$$),
    ('invitations', $$organization_id = manta_org()$$),
    ('teams', $$organization_id = manta_org()$$),
    ('team_members', $$organization_id = manta_org()$$),
    ('projects', $$organization_id = manta_org()$$),
    ('api_keys', $$organization_id = manta_org()$$),
    ('usage', $$organization_id = manta_org()$$),
    ('imported', $$organization_id = manta_org()$$),
    ('idempotency_keys', $$organization_id = manta_org()$$),
    ('retention_rules', $$organization_id = manta_org()$$),
    ('erasures', $$organization_id = manta_org()$$),
    ('audit_log', $$organization_id = manta_org()$$),
    ('audit_heads', $$organization_id = manta_org()$$),
    ('data_keys', $$organization_id = manta_org() AND (owner_kind = 'organization'
        OR (owner_kind = 'user' AND owner_id = manta_user())
        OR (owner_kind = 'team' AND owner_id IN
            (SELECT t.team_id FROM team_members t WHERE t.user_id = manta_user() AND t.organization_id = manta_org())))$$),
    ('conversations', $$organization_id = manta_org() AND (user_id = manta_user() OR team_id IN
        (SELECT t.team_id FROM team_members t WHERE t.user_id = manta_user() AND t.organization_id = manta_org()))$$),
    ('messages', $$organization_id = manta_org() AND EXISTS
        (SELECT FROM conversations c WHERE c.id = messages.conversation_id)$$)
) AS walls (tab, visible);

-- The audit log is added to by one function, whose owner is the only one with that right.
CREATE POLICY append ON audit_log TO manta_audit USING (true) WITH CHECK (true);
CREATE POLICY append ON audit_heads TO manta_audit USING (true) WITH CHECK (true);

CREATE FUNCTION audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_rows BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_is_final();
CREATE TRIGGER audit_log_table BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_is_final();

-- One field of what is hashed: its length in bytes, a colon, its bytes. api/audit/chain.py computes the same.
CREATE FUNCTION audit_field(value text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN convert_to(octet_length(convert_to(value, 'UTF8')) || ':' || value, 'UTF8');

CREATE FUNCTION append_audit(
    org text, at timestamptz, actor text, action text, target text, outcome text, address text, request text, details text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_heads;
    number bigint;
    digest bytea;
BEGIN
    IF org IS NULL OR (manta_org() IS NOT NULL AND org <> manta_org()) THEN
        RAISE EXCEPTION 'an entry belongs to the organization of its unit of work' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_heads VALUES (org, 0, sha256(audit_field('manta audit') || audit_field(org))) ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM audit_heads h WHERE h.organization_id = org FOR UPDATE;
    number := head.seq + 1;
    digest := sha256(head.hash || audit_field(org) || audit_field(number::text)
        || audit_field((extract(epoch FROM at) * 1000000)::bigint::text)
        || audit_field(actor) || audit_field(action) || audit_field(target) || audit_field(outcome)
        || audit_field(address) || audit_field(request) || audit_field(details));
    INSERT INTO audit_log VALUES (org, number, at, actor, action, target, outcome, address, request, details, head.hash, digest);
    UPDATE audit_heads h SET seq = number, hash = digest WHERE h.organization_id = org;
    RETURN number;
END $$;

-- Two doors through the wall, for callers who are not known yet. Each gives what admitting one caller needs, no more.
CREATE FUNCTION find_key(key_digest bytea) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT jsonb_build_object(
        'id', k.id, 'organization_id', k.organization_id, 'user_id', k.user_id, 'permissions', k.permissions,
        'models', k.models, 'expires_at', extract(epoch FROM k.expires_at), 'status', u.status, 'role', m.role,
        'role_permissions', r.permissions)
    FROM api_keys k
    LEFT JOIN users u ON u.id = k.user_id
    LEFT JOIN memberships m ON m.user_id = k.user_id AND m.organization_id = k.organization_id
    LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.name = m.role
    WHERE k.digest = key_digest AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
$$;

CREATE FUNCTION person_as_json(person text) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT jsonb_build_object(
        'user_id', u.id, 'email', u.email, 'status', u.status, 'password_hash', u.password_hash,
        'email_verified', u.email_verified_at IS NOT NULL,
        'totp', EXISTS (SELECT FROM totp_secrets t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL),
        'passkeys', (SELECT count(*) FROM passkeys p WHERE p.user_id = u.id),
        'memberships', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'organization_id', m.organization_id, 'role', m.role) ORDER BY m.created_at, m.organization_id), '[]')
            FROM memberships m WHERE m.user_id = u.id))
    FROM users u WHERE u.id = person
$$;

CREATE FUNCTION find_login(kind text, value text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    CASE kind
    WHEN 'email' THEN
        RETURN (SELECT person_as_json(u.id) FROM users u WHERE u.email = value);
    WHEN 'user' THEN
        RETURN person_as_json(value);
    WHEN 'identity' THEN
        RETURN (SELECT person_as_json(i.user_id) || jsonb_build_object('identity_id', i.id) FROM identities i
            WHERE i.issuer = split_part(value, E'\n', 1) AND i.subject = split_part(value, E'\n', 2));
    WHEN 'passkey' THEN
        RETURN (SELECT person_as_json(p.user_id) || jsonb_build_object(
            'passkey_id', p.id, 'public_key', encode(p.public_key, 'hex'), 'sign_count', p.sign_count,
            'user_handle', encode(p.user_handle, 'hex'))
            FROM passkeys p WHERE p.credential_id = decode(value, 'hex'));
    WHEN 'refresh' THEN
        RETURN (SELECT jsonb_build_object(
            'session_id', s.id, 'user_id', s.user_id, 'organization_id', s.organization_id,
            'ended', s.ended_at IS NOT NULL OR s.expires_at <= now())
            FROM sessions s WHERE s.family = decode(value, 'hex'));
    WHEN 'session' THEN
        RETURN (SELECT jsonb_build_object(
            'session_id', s.id, 'user_id', s.user_id, 'organization_id', o.id,
            'ended', s.ended_at IS NOT NULL OR s.expires_at <= now(), 'status', u.status, 'role', m.role,
            'role_permissions', r.permissions, 'methods', s.methods,
            'authenticated_at', extract(epoch FROM s.authenticated_at),
            'totp', EXISTS (SELECT FROM totp_secrets t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL),
            'two_factor', EXISTS (SELECT FROM totp_secrets t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL)
                OR EXISTS (SELECT FROM passkeys p WHERE p.user_id = u.id),
            'two_factor_required', coalesce(o.settings -> 'two_factor_roles' ? m.role, false))
            FROM sessions s JOIN users u ON u.id = s.user_id
            JOIN organizations o ON o.id = coalesce(nullif(split_part(value, E'\n', 2), ''), s.organization_id)
            LEFT JOIN memberships m ON m.user_id = s.user_id AND m.organization_id = o.id
            LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.name = m.role
            WHERE s.id = split_part(value, E'\n', 1));
    WHEN 'token' THEN
        RETURN (SELECT jsonb_build_object('purpose', t.purpose, 'user_id', t.user_id, 'email', t.email,
            'good', t.used_at IS NULL AND t.expires_at > now())
            FROM one_time_tokens t WHERE t.digest = decode(value, 'hex'));
    WHEN 'invitation' THEN
        RETURN (SELECT jsonb_build_object('id', i.id, 'organization_id', i.organization_id, 'email', i.email, 'role', i.role,
            'good', i.used_at IS NULL AND i.expires_at > now())
            FROM invitations i WHERE i.digest = decode(value, 'hex'));
    END CASE;
END $$;

-- Whose conversations a team reads (without a team: any team of the organization): ids, for who makes people leave it.
CREATE FUNCTION find_sharers(team text, people text[]) RETURNS SETOF text LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF people IS NULL THEN
        RETURN QUERY SELECT DISTINCT c.user_id FROM conversations c
            WHERE c.organization_id = manta_org() AND c.team_id = team;
    ELSE
        RETURN QUERY SELECT DISTINCT c.user_id FROM conversations c
            WHERE c.organization_id = manta_org() AND c.user_id = ANY (people) AND c.team_id IS NOT NULL
                AND (team IS NULL OR c.team_id = team);
    END IF;
END $$;

-- A team's data key goes with the team, whoever removes it.
CREATE FUNCTION destroy_team_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM data_keys k WHERE k.organization_id = OLD.organization_id AND k.owner_kind = 'team' AND k.owner_id = OLD.id;
    PERFORM pg_notify('manta_data_keys', '');
    RETURN NULL;
END $$;
CREATE POLICY team_is_gone ON data_keys FOR DELETE TO manta_lookup USING (owner_kind = 'team');
CREATE TRIGGER team_is_gone AFTER DELETE ON teams FOR EACH ROW EXECUTE FUNCTION destroy_team_key();

REVOKE ALL ON FUNCTION find_sharers, destroy_team_key, append_audit, find_key, find_login, person_as_json, audit_field, manta_org, manta_user FROM PUBLIC;
GRANT EXECUTE ON FUNCTION manta_org, manta_user TO manta_app, manta_jobs, manta_audit, manta_lookup;
GRANT EXECUTE ON FUNCTION audit_field TO manta_audit;
GRANT EXECUTE ON FUNCTION append_audit, find_key, find_login, find_sharers TO manta_app, manta_jobs;
GRANT SELECT ON users, sessions, refresh_tokens, one_time_tokens, totp_secrets, passkeys, identities, memberships, roles,
    organizations, invitations, api_keys TO manta_lookup;
GRANT SELECT (organization_id, team_id, user_id) ON conversations TO manta_lookup;
GRANT SELECT (organization_id, owner_kind, owner_id), DELETE ON data_keys TO manta_lookup;
GRANT SELECT, INSERT ON audit_log TO manta_audit;
GRANT SELECT, INSERT, UPDATE ON audit_heads TO manta_audit;
GRANT USAGE ON SCHEMA public TO manta_app, manta_jobs, manta_audit, manta_lookup;

GRANT SELECT, INSERT, UPDATE ON organizations, users, sessions, refresh_tokens, one_time_tokens, api_keys TO manta_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON identities, totp_secrets, recovery_codes, passkeys, throttles, roles, memberships,
    former_members, directory_users, invitations, teams, team_members, projects, conversations, messages, idempotency_keys,
    retention_rules TO manta_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ceremonies TO manta_app;
GRANT SELECT, INSERT ON data_keys, master_keys, imported, consents, legal_documents, erasures, usage TO manta_app;
GRANT SELECT ON audit_log, audit_heads TO manta_app;

-- Jobs: retention, erasure, rotation of master keys, moving in. What a person wrote stays unreadable to them without the vault.
GRANT SELECT, INSERT, UPDATE, DELETE ON organizations, users, identities, sessions, refresh_tokens, one_time_tokens, totp_secrets,
    recovery_codes, passkeys, ceremonies, throttles, roles, memberships, former_members, directory_users, invitations, teams, team_members,
    projects, api_keys, data_keys, master_keys, conversations, messages, idempotency_keys, imported, consents, retention_rules, erasures TO manta_jobs;
GRANT SELECT, UPDATE, DELETE ON usage TO manta_jobs;
GRANT SELECT ON audit_log, audit_heads, legal_documents, models, alembic_version TO manta_jobs;
GRANT SELECT ON alembic_version TO manta_app, manta_audit;

-- Owners of the doors. A function's owner needs the right to create in its schema at that moment only.
GRANT CREATE ON SCHEMA public TO manta_lookup, manta_audit;
ALTER FUNCTION find_key OWNER TO manta_lookup;
ALTER FUNCTION find_login OWNER TO manta_lookup;
ALTER FUNCTION person_as_json OWNER TO manta_lookup;
ALTER FUNCTION append_audit OWNER TO manta_audit;
ALTER FUNCTION find_sharers OWNER TO manta_lookup;
ALTER FUNCTION destroy_team_key OWNER TO manta_lookup;
REVOKE CREATE ON SCHEMA public FROM manta_lookup, manta_audit;
