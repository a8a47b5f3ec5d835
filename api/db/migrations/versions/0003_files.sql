-- Files that people upload. Those of a person are seen by that person, those of an organization's key by such keys.
CREATE TABLE files (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id text REFERENCES users (id) ON DELETE CASCADE,
    data_key_id text NOT NULL,
    name bytea NOT NULL,
    purpose text NOT NULL,
    size bigint NOT NULL,
    digest bytea NOT NULL,
    blob text NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_files_list ON files (organization_id, user_id, created_at DESC, id DESC);
CREATE INDEX ix_files_content ON files (organization_id, digest);
CREATE INDEX ix_files_blob ON files (blob);
CREATE INDEX ix_files_user_id ON files (user_id);
CREATE INDEX ix_files_expires_at ON files (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE files ENABLE ROW LEVEL SECURITY;
ALTER TABLE files FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON files TO manta_app
    USING (organization_id = manta_org() AND user_id IS NOT DISTINCT FROM manta_user())
    WITH CHECK (organization_id = manta_org() AND user_id IS NOT DISTINCT FROM manta_user());
CREATE POLICY jobs ON files TO manta_jobs USING (true) WITH CHECK (true);
CREATE POLICY lookup ON files FOR SELECT TO manta_lookup USING (true);
GRANT SELECT, INSERT, DELETE ON files TO manta_app;
GRANT SELECT, DELETE ON files TO manta_jobs;

-- How much an organization stores: a number that each of its people may add to and none could count.
CREATE FUNCTION stored_bytes(org text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT coalesce(sum(f.size), 0)::bigint FROM files f WHERE f.organization_id = org AND org = manta_org());
REVOKE ALL ON FUNCTION stored_bytes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stored_bytes TO manta_app;
GRANT SELECT ON files TO manta_lookup;
GRANT CREATE ON SCHEMA public TO manta_lookup;
ALTER FUNCTION stored_bytes OWNER TO manta_lookup;
REVOKE CREATE ON SCHEMA public FROM manta_lookup;
