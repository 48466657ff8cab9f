-- The application acts as stint_app, which owns nothing. The role belongs to the whole server, so it may exist already.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'stint_app') THEN
        CREATE ROLE stint_app NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL; -- made by a migration of another database at the same time
END;
$$;
GRANT stint_app TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO stint_app;

CREATE FUNCTION stint_tenant() RETURNS text
    LANGUAGE sql STABLE
    RETURN nullif(current_setting('stint.tenant', true), '');

-- A cast of text to timestamptz is only STABLE, because of words like "today"; ours are always ISO 8601 with an offset.
CREATE FUNCTION stint_instant(written text) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT
    RETURN written::timestamptz;


-- Tenants and their configuration ------------------------------------------------------------------------------------------

CREATE TABLE tenants (
    tenant      text PRIMARY KEY CHECK (tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    title       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE config_versions (
    tenant      text NOT NULL REFERENCES tenants,
    version     integer NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by  text NOT NULL,
    PRIMARY KEY (tenant, version)
);

CREATE TABLE config_files (
    tenant      text NOT NULL,
    version     integer NOT NULL,
    path        text NOT NULL,
    content     text NOT NULL,
    sha256      text NOT NULL,
    PRIMARY KEY (tenant, version, path),
    FOREIGN KEY (tenant, version) REFERENCES config_versions
);


-- Audit --------------------------------------------------------------------------------------------------------------------

CREATE TABLE audit_events (
    tenant          text NOT NULL REFERENCES tenants,
    seq             bigint NOT NULL CHECK (seq > 0),
    prev_hash       bytea NOT NULL CHECK (length(prev_hash) = 32),
    event_hash      bytea NOT NULL CHECK (length(event_hash) = 32),
    event           text NOT NULL, -- RFC 8785, exactly the bytes that were hashed
    -- generated, so that what is searched cannot disagree with what was hashed
    engagement_id   uuid GENERATED ALWAYS AS ((event::jsonb ->> 'engagement_id')::uuid) STORED,
    action          text GENERATED ALWAYS AS (event::jsonb ->> 'action') STORED,
    occurred_at     timestamptz GENERATED ALWAYS AS (stint_instant(event::jsonb ->> 'occurred_at')) STORED,
    PRIMARY KEY (tenant, seq)
);
CREATE INDEX audit_events_engagement ON audit_events (tenant, engagement_id, seq);
CREATE INDEX audit_events_action ON audit_events (tenant, action, seq);

CREATE FUNCTION stint_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END;
$$;
CREATE TRIGGER audit_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION stint_refuse_change();


-- Workers and engagements --------------------------------------------------------------------------------------------------

CREATE TABLE workers (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    marker          text NOT NULL,
    given_name      text NOT NULL,
    family_name     text NOT NULL,
    personal_email  text NOT NULL,
    country         text NOT NULL,
    phone           text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, marker)
);

CREATE TABLE engagements (
    tenant              text NOT NULL REFERENCES tenants,
    id                  uuid NOT NULL,
    worker_id           uuid NOT NULL,
    vms_system          text NOT NULL,
    terms               jsonb NOT NULL, -- workforce.engagement.EngagementTerms
    vms_id              text NOT NULL GENERATED ALWAYS AS (terms ->> 'vms_id') STORED,
    source_version      text COLLATE "C" NOT NULL, -- compared as the source's versions are: by code point
    state               text NOT NULL,
    epoch               integer NOT NULL DEFAULT 1,
    runner              text, -- who holds the epoch
    end_at              timestamptz NOT NULL,
    envelope_id         text,
    signed_at           timestamptz,
    tombstoned_at       timestamptz,
    access_verified_at  timestamptz,
    revoked_verified_at timestamptz,
    mapping_pins        jsonb NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, vms_system, vms_id),
    FOREIGN KEY (tenant, worker_id) REFERENCES workers
);
CREATE INDEX engagements_state ON engagements (tenant, state, end_at);
CREATE INDEX engagements_worker ON engagements (tenant, worker_id);

CREATE TABLE logins (
    tenant      text NOT NULL REFERENCES tenants,
    login       text NOT NULL,
    worker_id   uuid NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (tenant, worker_id) REFERENCES workers,
    UNIQUE (tenant, worker_id)
);
CREATE UNIQUE INDEX logins_login ON logins (tenant, lower(login));

CREATE TABLE external_identities (
    tenant      text NOT NULL REFERENCES tenants,
    system      text NOT NULL,
    kind        text NOT NULL,
    internal_id uuid NOT NULL,
    external_id text NOT NULL,
    linked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, system, kind, internal_id),
    UNIQUE (tenant, system, kind, external_id)
);

CREATE TABLE tax_ids (
    tenant          text NOT NULL,
    worker_id       uuid NOT NULL,
    key_id          text NOT NULL,
    wrapped_key     bytea, -- NULL once shredded: the ciphertext can never be read again
    ciphertext      bytea NOT NULL,
    lookup          bytea,
    sealed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    shredded_at     timestamptz,
    PRIMARY KEY (tenant, worker_id),
    FOREIGN KEY (tenant, worker_id) REFERENCES workers
);
CREATE INDEX tax_ids_lookup ON tax_ids (tenant, lookup);


-- Sources ------------------------------------------------------------------------------------------------------------------

CREATE TABLE source_records (
    tenant      text NOT NULL REFERENCES tenants,
    system      text NOT NULL,
    external_id text NOT NULL,
    version     text COLLATE "C" NOT NULL,
    "values"    jsonb NOT NULL,
    read_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, system, external_id)
);

CREATE TABLE poll_cursors (
    tenant      text NOT NULL REFERENCES tenants,
    instance    text NOT NULL,
    cursor      text NOT NULL,
    moved_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, instance)
);

-- What a connector instance keeps of a credential that its vendor replaces with each use; of each configured seed, the newest.
CREATE TABLE rotating_credentials (
    tenant      text NOT NULL REFERENCES tenants,
    instance    text NOT NULL,
    seed_sha256 bytea NOT NULL CHECK (length(seed_sha256) = 32),
    sealed      bytea NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, instance, seed_sha256)
);

-- Rows are never deleted: the key of a delivery is kept for ever, not for a window.
CREATE TABLE inbox (
    tenant      text NOT NULL REFERENCES tenants,
    event_id    uuid NOT NULL,
    source      text NOT NULL,
    external_id text NOT NULL,
    kind        text NOT NULL,
    subject_id  text NOT NULL,
    occurred_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body        bytea NOT NULL,
    state       text NOT NULL,
    cause       text,
    message     text,
    engagement_id uuid, -- what it led to
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, event_id),
    UNIQUE (tenant, source, external_id)
);
CREATE INDEX inbox_open ON inbox (tenant, state) WHERE state <> 'settled';


-- Work ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE effects (
    tenant          text NOT NULL REFERENCES tenants,
    effect_id       uuid NOT NULL,
    key             text NOT NULL,
    engagement_id   uuid NOT NULL,
    target          text NOT NULL,
    kind            text NOT NULL,
    lifecycle       integer NOT NULL,
    detail          text NOT NULL,
    epoch           integer NOT NULL,
    state           text NOT NULL,
    attempt         integer NOT NULL DEFAULT 0,
    lost            integer NOT NULL DEFAULT 0, -- calls that ended unknown
    runner          text,
    lease_until     timestamptz,
    started_at      timestamptz,
    vendor_id       text,
    cause           text,
    message         text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, effect_id),
    UNIQUE (tenant, key),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE INDEX effects_engagement ON effects (tenant, engagement_id);

CREATE TABLE timers (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    engagement_id   uuid NOT NULL,
    kind            text NOT NULL,
    detail          text NOT NULL DEFAULT '',
    fires_at        timestamptz NOT NULL,
    due_at          timestamptz, -- fires_at, or later after a failed firing; NULL once fired or cancelled
    fired_at        timestamptz,
    failures        integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, engagement_id, kind, detail),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE INDEX timers_due ON timers (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE failures (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    subject         text NOT NULL,
    cause           text NOT NULL,
    message         text NOT NULL,
    field           text,
    engagement_id   uuid,
    event_id        uuid,
    count           integer NOT NULL DEFAULT 1,
    since           timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at       timestamptz,
    closed_by       text,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements,
    FOREIGN KEY (tenant, event_id) REFERENCES inbox
);
CREATE UNIQUE INDEX failures_open ON failures (tenant, subject, cause) WHERE closed_at IS NULL;
CREATE INDEX failures_engagement ON failures (tenant, engagement_id) WHERE closed_at IS NULL;

CREATE TABLE flow_runs (
    tenant          text NOT NULL REFERENCES tenants,
    job_id          bigint NOT NULL,
    number          integer NOT NULL, -- a job that is tried again after a finished run gets another run
    flow_run_id     uuid NOT NULL,
    process         text NOT NULL,
    engagement_id   uuid,
    state           text NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at        timestamptz,
    PRIMARY KEY (tenant, job_id, number)
);
CREATE INDEX flow_runs_engagement ON flow_runs (tenant, engagement_id, started_at);


-- Tenants see their own rows. FORCE, so that this also holds for an owner that is no superuser. -------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'config_versions', 'config_files', 'audit_events', 'workers', 'engagements', 'logins', 'external_identities', 'tax_ids',
        'source_records', 'poll_cursors', 'rotating_credentials', 'inbox', 'effects', 'timers', 'failures', 'flow_runs'
    ]
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = stint_tenant()) WITH CHECK (tenant = stint_tenant())', name);
    END LOOP;
END;
$$;

-- Timers are swept across tenants: these two functions may look at which are due, and at nothing else.
CREATE POLICY sweep ON timers FOR SELECT TO CURRENT_USER USING (true);

CREATE FUNCTION stint_due_timers(at timestamptz, how_many integer)
    RETURNS TABLE (due_tenant text, due_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
AS $$
    SELECT tenant, id FROM timers WHERE due_at <= at ORDER BY due_at LIMIT how_many
$$;

CREATE FUNCTION stint_next_timer() RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
AS $$
    SELECT min(due_at) FROM timers WHERE due_at IS NOT NULL
$$;

GRANT SELECT ON alembic_version TO stint_app;
GRANT SELECT, INSERT ON tenants, config_versions, config_files, audit_events, logins, external_identities TO stint_app;
GRANT SELECT, INSERT, UPDATE ON
    workers, engagements, tax_ids, source_records, rotating_credentials, inbox, effects, timers, failures, flow_runs TO stint_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON poll_cursors, procrastinate_jobs, procrastinate_events, procrastinate_workers, procrastinate_periodic_defers TO stint_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO stint_app;

-- The queue asks for each job whether another holds its lock; its own index leads with the id.
CREATE INDEX stint_jobs_lock ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing');
