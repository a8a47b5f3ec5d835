-- How much each owner's files have, kept by triggers whatever path adds or removes them. `owner_id` is '' for the organization's keys.
CREATE TABLE file_totals (
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    owner_id text NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (organization_id, owner_id)
);
ALTER TABLE files NO FORCE ROW LEVEL SECURITY; -- all of them count
INSERT INTO file_totals (organization_id, owner_id, bytes)
    SELECT organization_id, coalesce(user_id, ''), sum(size) FROM files GROUP BY 1, 2;
ALTER TABLE files FORCE ROW LEVEL SECURITY;

ALTER TABLE file_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_totals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON file_totals FOR SELECT TO manta_app
    USING (organization_id = manta_org() AND owner_id = coalesce(manta_user(), ''));
CREATE POLICY jobs ON file_totals FOR SELECT TO manta_jobs USING (true); -- backups read every row
CREATE POLICY lookup ON file_totals TO manta_lookup USING (true) WITH CHECK (true);
GRANT SELECT ON file_totals TO manta_app, manta_jobs;
GRANT SELECT, INSERT, UPDATE, DELETE ON file_totals TO manta_lookup;

CREATE FUNCTION on_files_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO file_totals AS t (organization_id, owner_id, bytes)
        SELECT f.organization_id, coalesce(f.user_id, ''), sum(f.size) FROM changed f GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (organization_id, owner_id) DO UPDATE SET bytes = t.bytes + excluded.bytes;
    RETURN NULL;
END $$;
CREATE FUNCTION on_files_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE gone record;
BEGIN
    FOR gone IN SELECT f.organization_id AS org, coalesce(f.user_id, '') AS owner, sum(f.size) AS bytes
        FROM changed f GROUP BY 1, 2 ORDER BY 1, 2 -- in one order, so that two who remove do not wait for each other
    LOOP
        UPDATE file_totals t SET bytes = t.bytes - gone.bytes WHERE t.organization_id = gone.org AND t.owner_id = gone.owner;
        DELETE FROM file_totals t WHERE t.organization_id = gone.org AND t.owner_id = gone.owner AND t.bytes <= 0;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER counted AFTER INSERT ON files REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_files_added();
CREATE TRIGGER uncounted AFTER DELETE ON files REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_files_removed();

DROP FUNCTION stored_bytes;
CREATE FUNCTION stored_bytes(org text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT coalesce(sum(t.bytes), 0)::bigint FROM file_totals t WHERE t.organization_id = org AND org = manta_org());
REVOKE ALL ON FUNCTION stored_bytes, on_files_added, on_files_removed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stored_bytes TO manta_app;
GRANT CREATE ON SCHEMA public TO manta_lookup;
ALTER FUNCTION stored_bytes OWNER TO manta_lookup;
ALTER FUNCTION on_files_added OWNER TO manta_lookup;
ALTER FUNCTION on_files_removed OWNER TO manta_lookup;
REVOKE CREATE ON SCHEMA public FROM manta_lookup;
