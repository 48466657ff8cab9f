ALTER TABLE engagements
    ADD COLUMN access_pins jsonb NOT NULL DEFAULT '{}', -- access package → version
    ADD COLUMN suspended_at timestamptz, -- sign-in is withheld (a review that nobody answered) although the engagement goes on
    ADD COLUMN suspended_because text,
    ADD COLUMN reported_terms jsonb; -- what the VMS said last, where other terms count: a person moved the end, or the ending has begun

-- What each engagement supports, and what was proven of it. One row for each life of an entitlement: wanted, given, no longer wanted, gone.
CREATE TABLE grants (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    worker_id       uuid NOT NULL,
    engagement_id   uuid NOT NULL,
    directory       text NOT NULL, -- connector instance
    kind            text NOT NULL, -- workforce.access.EntitlementKind
    entitlement     text NOT NULL, -- its id in the directory's own terms; empty for the sign-in
    reason          jsonb NOT NULL, -- package, version, and who approved
    ends_at         timestamptz NOT NULL, -- the end instant when it was wanted, moved with the engagement's
    account_id      text,
    wanted_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    granted_at      timestamptz, -- read back
    unwanted_at     timestamptz,
    unwanted_because text,
    revoked_at      timestamptz, -- read back
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, worker_id) REFERENCES workers,
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE UNIQUE INDEX grants_wanted ON grants (tenant, engagement_id, directory, kind, entitlement) WHERE unwanted_at IS NULL;
CREATE INDEX grants_worker ON grants (tenant, worker_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_engagement ON grants (tenant, engagement_id);
CREATE INDEX grants_at ON grants (tenant, directory, granted_at, revoked_at) WHERE granted_at IS NOT NULL;
CREATE INDEX grants_to_revoke ON grants (tenant, directory, engagement_id) WHERE unwanted_at IS NOT NULL AND revoked_at IS NULL;

-- Which ending of an engagement began when and why, and how it was taken back, if it was.
CREATE TABLE endings (
    tenant          text NOT NULL REFERENCES tenants,
    engagement_id   uuid NOT NULL,
    number          integer NOT NULL,
    cause           text NOT NULL, -- end_reached, terminated, …
    was             text, -- the state before, to which it goes back if it is taken back; NULL: not known, it was cleared
    reason          text,
    end_at          timestamptz NOT NULL,
    began_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    began_by        text NOT NULL,
    undo_reason     text,
    undo_asked_at   timestamptz,
    undo_asked_by   text,
    undone_at       timestamptz,
    undone_by       text,
    closure         jsonb, -- the closure record: what was proven gone where and when
    PRIMARY KEY (tenant, engagement_id, number),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);

-- Endings that had begun before there was this table: why is not known, so no feed takes them back.
ALTER TABLE engagements NO FORCE ROW LEVEL SECURITY;
INSERT INTO endings (tenant, engagement_id, number, cause, end_at, began_at, began_by)
SELECT tenant, id, 1, 'before_upgrade', end_at, tombstoned_at, 'stint' FROM engagements WHERE tombstoned_at IS NOT NULL;
ALTER TABLE engagements FORCE ROW LEVEL SECURITY;

-- Who let an engagement have a package that needs it.
CREATE TABLE access_approvals (
    tenant          text NOT NULL REFERENCES tenants,
    engagement_id   uuid NOT NULL,
    package         text NOT NULL,
    version         integer NOT NULL,
    state           text NOT NULL, -- waiting, approved, declined
    asked_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at         timestamptz, -- when the approvers were told
    decided_at      timestamptz,
    decided_by      text,
    reason          text,
    PRIMARY KEY (tenant, engagement_id, package, version),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);

-- A legal hold: nothing of the person is deleted and no licence that keeps something is reclaimed while it stands.
CREATE TABLE holds (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    worker_id       uuid NOT NULL,
    matter          text NOT NULL,
    scope           text NOT NULL,
    placed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    placed_by       text NOT NULL,
    released_at     timestamptz,
    released_by     text,
    release_reason  text,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, worker_id) REFERENCES workers
);
CREATE INDEX holds_standing ON holds (tenant, worker_id) WHERE released_at IS NULL;

-- Evidence that a person gave for something that only a person can see (where a mailbox went, that a badge was returned).
CREATE TABLE evidence (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    engagement_id   uuid NOT NULL,
    subject         text NOT NULL,
    statement       text NOT NULL,
    given_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    given_by        text NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE INDEX evidence_subject ON evidence (tenant, engagement_id, subject);

-- Runs of reconciliation, and what they found. A finding is one line while it stands; seen again it is counted.
CREATE TABLE reconciliations (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    directory       text NOT NULL,
    scope           text NOT NULL, -- full, changed, recently_ended
    cursor          text, -- where the directory's changes go on from
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    accounts_read   bigint NOT NULL DEFAULT 0,
    findings        integer NOT NULL DEFAULT 0,
    mended          integer NOT NULL DEFAULT 0,
    held            boolean NOT NULL DEFAULT false, -- the brake was on
    PRIMARY KEY (tenant, id)
);
CREATE INDEX reconciliations_newest ON reconciliations (tenant, directory, started_at DESC);

CREATE TABLE findings (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    directory       text NOT NULL,
    account_id      text NOT NULL, -- empty where the account itself is missing
    worker_id       uuid,
    engagement_id   uuid,
    drift           text NOT NULL, -- provisioning.policies.Drift
    subject         text NOT NULL, -- the entitlement or the field
    details         jsonb NOT NULL DEFAULT '{}', -- ids and words, no personal data
    first_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    times           integer NOT NULL DEFAULT 1,
    closed_at       timestamptz,
    closed_because  text,
    closed_by       text,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, worker_id) REFERENCES workers,
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE UNIQUE INDEX findings_open ON findings (tenant, directory, account_id, drift, subject, coalesce(worker_id, '00000000-0000-0000-0000-000000000000'))
    WHERE closed_at IS NULL;

-- Which accounts reconciliation saw last, and in which run: what a later one does not see is gone.
CREATE TABLE seen_accounts (
    tenant          text NOT NULL REFERENCES tenants,
    directory       text NOT NULL,
    account_id      text NOT NULL,
    worker_id       uuid,
    digest          bytea NOT NULL, -- of what was read and of what was desired
    seen_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id          uuid NOT NULL,
    PRIMARY KEY (tenant, directory, account_id)
);
CREATE INDEX seen_accounts_worker ON seen_accounts (tenant, directory, worker_id);

-- The brake: what a source wanted at once is held, until a person lets it go or throws it away.
CREATE TABLE held_changes (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    source          text NOT NULL, -- connector instance, of a feed or of a directory
    kind            text NOT NULL, -- end_brought_forward, revoke, block
    subject         text NOT NULL,
    engagement_id   uuid,
    details         jsonb NOT NULL DEFAULT '{}',
    noted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    held            boolean NOT NULL, -- false: it was let through, and counts for the hour
    decided_at      timestamptz,
    decided_by      text,
    decision        text, -- released, discarded
    reason          text,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE INDEX held_changes_hour ON held_changes (tenant, source, noted_at);
CREATE UNIQUE INDEX held_changes_open ON held_changes (tenant, source, kind, subject) WHERE held AND decided_at IS NULL;

-- Access reviews: the sponsor says that an engagement still needs its access.
CREATE TABLE access_reviews (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    engagement_id   uuid NOT NULL,
    sponsor         text NOT NULL, -- address
    asked_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at          timestamptz NOT NULL,
    escalated_at    timestamptz,
    escalated_to    text,
    answer          text, -- keep, remove
    answered_at     timestamptz,
    answered_by     text,
    reason          text,
    suspended_at    timestamptz,
    told_at         timestamptz, -- when whoever has to answer now was told
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE UNIQUE INDEX access_reviews_open ON access_reviews (tenant, engagement_id) WHERE answered_at IS NULL;

-- Logins may be given again after a set time, aliases stay reserved, and a person may change theirs.
ALTER TABLE logins
    ADD COLUMN alias_since timestamptz, -- NULL: the login in use; else the old one, kept as an alias
    ADD COLUMN released_at timestamptz, -- given up: somebody else has it now
    ADD COLUMN made_for bytea; -- SHA-256 of the name that it was made of; NULL: made before that was kept
ALTER TABLE logins DROP CONSTRAINT logins_tenant_worker_id_key;
CREATE UNIQUE INDEX logins_in_use ON logins (tenant, worker_id) WHERE alias_since IS NULL AND released_at IS NULL;
DROP INDEX logins_login;
CREATE UNIQUE INDEX logins_login ON logins (tenant, lower(login)) WHERE released_at IS NULL;

-- Persons: two records that may be one. A person decides; nobody is matched by name or address alone.
ALTER TABLE workers
    ADD COLUMN do_not_rehire text, -- why; an engagement of such a person waits for a reviewer
    ADD COLUMN like_name bytea, -- workforce.likeness: what people who look alike have in common; NULL: not worked out yet
    ADD COLUMN like_address bytea;
CREATE INDEX workers_like_name ON workers (tenant, like_name);
CREATE INDEX workers_like_address ON workers (tenant, like_address);
CREATE INDEX workers_likeness_missing ON workers (tenant) WHERE like_address IS NULL;
CREATE INDEX engagements_person ON engagements (tenant, vms_system, (external ->> 'person_id'));
CREATE TABLE identity_cases (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    engagement_id   uuid NOT NULL, -- the new one, which waits
    worker_id       uuid NOT NULL, -- its own new worker
    candidate_id    uuid NOT NULL, -- who it may be
    alike           text[] NOT NULL, -- which fields agree: names of fields, no values
    opened_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at      timestamptz,
    decided_by      text,
    decision        text, -- same, different
    reason          text,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, engagement_id, candidate_id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements,
    FOREIGN KEY (tenant, worker_id) REFERENCES workers,
    FOREIGN KEY (tenant, candidate_id) REFERENCES workers
);

-- Many leavers may share a run.
ALTER TABLE flow_runs ADD COLUMN together uuid[] NOT NULL DEFAULT '{}';
CREATE INDEX flow_runs_together ON flow_runs USING gin (together);

-- First credentials on their way: a one-time link, known by its hash alone. The credential itself is made when the link is opened.
CREATE TABLE credential_links (
    tenant          text NOT NULL REFERENCES tenants,
    token_sha256    bytea NOT NULL CHECK (length(token_sha256) = 32),
    engagement_id   uuid NOT NULL,
    directory       text NOT NULL,
    account_id      text NOT NULL,
    made_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz NOT NULL,
    seal_key        bytea NOT NULL CHECK (length(seal_key) = 32), -- public; its private half can be made of the token alone
    sent_at         timestamptz,
    used_at         timestamptz,
    sealed          bytea, -- the credential, for whoever has the token and for at most a minute; then NULL
    sealed_at       timestamptz,
    shown_at        timestamptz,
    failed_because  text,
    PRIMARY KEY (tenant, token_sha256),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE INDEX credential_links_engagement ON credential_links (tenant, engagement_id);
CREATE INDEX credential_links_sealed ON credential_links (tenant) WHERE sealed IS NOT NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'grants', 'endings', 'access_approvals', 'holds', 'evidence', 'reconciliations', 'findings', 'seen_accounts', 'held_changes',
        'access_reviews', 'identity_cases', 'credential_links'
    ]
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = stint_tenant()) WITH CHECK (tenant = stint_tenant())', name);
    END LOOP;
END;
$$;
GRANT SELECT, INSERT, UPDATE ON
    grants, endings, access_approvals, holds, reconciliations, findings, held_changes, access_reviews, identity_cases, credential_links
    TO stint_app;
GRANT SELECT, INSERT ON evidence TO stint_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON seen_accounts TO stint_app;
GRANT UPDATE ON logins TO stint_app;
GRANT DELETE ON external_identities TO stint_app; -- an account that was deleted is no longer the worker's
