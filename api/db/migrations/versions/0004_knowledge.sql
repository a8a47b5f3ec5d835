-- Vector stores. Every change of one has a number that grows per store (`seq`) and a row, so that search replicas can follow.
CREATE TABLE vector_stores (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id text REFERENCES users (id) ON DELETE CASCADE,
    data_key_id text NOT NULL,
    about bytea NOT NULL,
    embedding_model text NOT NULL,
    dimensions integer NOT NULL,
    probe bytea,
    seq bigint NOT NULL DEFAULT 0,
    next_chunk bigint NOT NULL DEFAULT 0,
    expires_after_days integer,
    index_of text REFERENCES vector_stores (id) ON DELETE CASCADE,
    index_id text,
    index_since timestamptz,
    retired boolean NOT NULL DEFAULT false,
    last_active_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_vector_stores_index_of ON vector_stores (index_of);
CREATE INDEX ix_vector_stores_list ON vector_stores (organization_id, user_id, created_at DESC, id DESC);
CREATE INDEX ix_vector_stores_user_id ON vector_stores (user_id);
CREATE INDEX ix_vector_stores_last_active_at ON vector_stores (last_active_at) WHERE expires_after_days IS NOT NULL;

CREATE TABLE vector_store_file_batches (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id text REFERENCES users (id) ON DELETE CASCADE,
    vector_store_id text NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    file_ids text[] NOT NULL DEFAULT '{}',
    cancelled boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_vector_store_file_batches_vector_store_id ON vector_store_file_batches (vector_store_id);
CREATE INDEX ix_vector_store_file_batches_organization_id ON vector_store_file_batches (organization_id);
CREATE INDEX ix_vector_store_file_batches_user_id ON vector_store_file_batches (user_id);

CREATE TABLE vector_store_files (
    vector_store_id text NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    file_id text NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id text REFERENCES users (id) ON DELETE CASCADE,
    batch_id text REFERENCES vector_store_file_batches (id) ON DELETE SET NULL,
    status text NOT NULL DEFAULT 'in_progress',
    error_code text,
    error_message text,
    attributes bytea NOT NULL,
    notes bytea,
    described_seq bigint NOT NULL DEFAULT 0,
    max_tokens integer NOT NULL,
    overlap_tokens integer NOT NULL,
    sizes_before integer[],
    usage_bytes bigint NOT NULL DEFAULT 0,
    chunk_count integer NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (vector_store_id, file_id),
    CONSTRAINT ck_vector_store_files_status CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled'))
);
CREATE INDEX ix_vector_store_files_list ON vector_store_files (vector_store_id, created_at DESC, file_id DESC);
CREATE INDEX ix_vector_store_files_status ON vector_store_files (vector_store_id, status);
CREATE INDEX ix_vector_store_files_described_seq ON vector_store_files (vector_store_id, described_seq) WHERE described_seq > 0;
CREATE INDEX ix_vector_store_files_waiting ON vector_store_files (vector_store_id, created_at, file_id) WHERE status = 'in_progress';
CREATE INDEX ix_vector_store_files_leased_until ON vector_store_files (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX ix_vector_store_files_file_id ON vector_store_files (file_id);
CREATE INDEX ix_vector_store_files_batch_id ON vector_store_files (batch_id);
CREATE INDEX ix_vector_store_files_organization_id ON vector_store_files (organization_id);
CREATE INDEX ix_vector_store_files_user_id ON vector_store_files (user_id);

CREATE TABLE chunks (
    vector_store_id text NOT NULL,
    id bigint NOT NULL,
    file_id text NOT NULL,
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id text REFERENCES users (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    vectors bytea NOT NULL,
    PRIMARY KEY (vector_store_id, id),
    CONSTRAINT fk_chunks_vector_store_id_file_id FOREIGN KEY (vector_store_id, file_id)
        REFERENCES vector_store_files (vector_store_id, file_id) ON DELETE CASCADE,
    CONSTRAINT uq_chunks_vector_store_id_file_id_number UNIQUE (vector_store_id, file_id, number)
);
ALTER TABLE chunks ALTER content SET STORAGE EXTERNAL, ALTER vectors SET STORAGE EXTERNAL; -- what is sealed does not shrink
CREATE INDEX ix_chunks_vector_store_id_seq ON chunks (vector_store_id, seq);
CREATE INDEX ix_chunks_organization_id ON chunks (organization_id);
CREATE INDEX ix_chunks_user_id ON chunks (user_id);

CREATE TABLE vector_store_changes (
    vector_store_id text NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    organization_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    chunk_ids bigint[] NOT NULL DEFAULT '{}', -- that went
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (vector_store_id, seq)
);
CREATE INDEX ix_vector_store_changes_organization_id ON vector_store_changes (organization_id);
CREATE INDEX ix_vector_store_changes_created_at ON vector_store_changes (created_at);
CREATE INDEX ix_vector_store_changes_removed ON vector_store_changes (vector_store_id, seq) WHERE chunk_ids <> '{}';

DO $$
DECLARE tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['vector_stores', 'vector_store_file_batches', 'vector_store_files', 'chunks', 'vector_store_changes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY jobs ON %I TO manta_jobs USING (true) WITH CHECK (true)', tab);
        IF tab = 'vector_store_changes' THEN
            EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO manta_app USING (organization_id = manta_org())', tab);
        ELSE
            EXECUTE format('CREATE POLICY tenant ON %I TO manta_app'
                ' USING (organization_id = manta_org() AND user_id IS NOT DISTINCT FROM manta_user())'
                ' WITH CHECK (organization_id = manta_org() AND user_id IS NOT DISTINCT FROM manta_user())', tab);
        END IF;
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON vector_stores, vector_store_files TO manta_app;
GRANT SELECT, INSERT, UPDATE ON vector_store_file_batches TO manta_app;
GRANT SELECT ON chunks, vector_store_changes TO manta_app;
GRANT DELETE ON chunks TO manta_app; -- of a store that goes, at once; else they go with their file, and that is told
GRANT SELECT, INSERT, UPDATE, DELETE ON
    vector_stores, vector_store_file_batches, vector_store_files, chunks, vector_store_changes TO manta_jobs;

-- The next change of a store: whoever asks for seq + 1 gets a random number above the last, and it is noted. A store that was set
-- back and went on so comes to no number that the other course of things had, and who stands at one of those is known.
CREATE FUNCTION on_vector_store_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.seq := OLD.seq + 1 + floor(random() * 16777216)::bigint;
    INSERT INTO vector_store_changes (vector_store_id, seq, organization_id) VALUES (NEW.id, NEW.seq, NEW.organization_id);
    RETURN NEW;
END $$;
-- The chunks of a file go, and who follows the store is told, whatever path removes them.
CREATE FUNCTION remove_chunks(store text, file text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint[];
    place bigint;
BEGIN
    SELECT array_agg(c.id) INTO gone FROM chunks c WHERE c.vector_store_id = store AND c.file_id = file;
    IF gone IS NULL THEN
        RETURN;
    END IF;
    UPDATE vector_stores s SET seq = s.seq + 1 WHERE s.id = store RETURNING s.seq INTO place;
    IF place IS NOT NULL THEN -- else the whole store is on its way out
        UPDATE vector_store_changes c SET chunk_ids = gone WHERE c.vector_store_id = store AND c.seq = place;
    END IF;
    DELETE FROM chunks c WHERE c.vector_store_id = store AND c.file_id = file;
END $$;
CREATE FUNCTION on_vector_store_file_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM remove_chunks(OLD.vector_store_id, OLD.file_id);
    RETURN OLD;
END $$;
CREATE FUNCTION on_vector_store_file_added() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('manta_ingest', '');
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION remove_chunks, on_vector_store_changed, on_vector_store_file_removed, on_vector_store_file_added FROM PUBLIC;
GRANT EXECUTE ON FUNCTION remove_chunks TO manta_jobs, manta_lookup;
CREATE TRIGGER changed BEFORE UPDATE OF seq ON vector_stores FOR EACH ROW WHEN (OLD.seq <> NEW.seq)
    EXECUTE FUNCTION on_vector_store_changed();
CREATE TRIGGER removed BEFORE DELETE ON vector_store_files FOR EACH ROW EXECUTE FUNCTION on_vector_store_file_removed();
CREATE TRIGGER added AFTER INSERT ON vector_store_files FOR EACH STATEMENT EXECUTE FUNCTION on_vector_store_file_added();
-- Who deletes a file, or a cascade, has no right to the rest: the function has it.
CREATE POLICY lookup ON vector_stores TO manta_lookup USING (true) WITH CHECK (true);
CREATE POLICY lookup ON vector_store_changes TO manta_lookup USING (true) WITH CHECK (true);
CREATE POLICY lookup ON chunks TO manta_lookup USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON vector_stores TO manta_lookup;
GRANT SELECT, INSERT, UPDATE ON vector_store_changes TO manta_lookup;
GRANT SELECT, DELETE ON chunks TO manta_lookup;
GRANT CREATE ON SCHEMA public TO manta_lookup;
ALTER FUNCTION on_vector_store_changed OWNER TO manta_lookup;
ALTER FUNCTION on_vector_store_file_removed OWNER TO manta_lookup;
REVOKE CREATE ON SCHEMA public FROM manta_lookup;
