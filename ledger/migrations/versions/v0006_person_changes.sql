-- A work order that names another person than its engagement is known by. Nothing of such a version is taken; a person decides.
CREATE TABLE person_changes (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    engagement_id   uuid NOT NULL,
    worker_id       uuid NOT NULL, -- whose it is
    person_id       text, -- the source's id of whom it names now; none where the source tells none
    version         text NOT NULL, -- of the source's record that said so last
    alike           text[] NOT NULL, -- which fields agree: names of fields, no values
    opened_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at      timestamptz,
    decided_by      text,
    decision        text, -- same, different, taken_back
    reason          text,
    over_at         timestamptz, -- since when it is its worker's again, or known to have been all along
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements,
    FOREIGN KEY (tenant, worker_id) REFERENCES workers
);
CREATE UNIQUE INDEX person_changes_standing ON person_changes (tenant, engagement_id) WHERE over_at IS NULL;
CREATE INDEX person_changes_same ON person_changes (tenant, person_id) WHERE decision = 'same';

ALTER TABLE person_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE person_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON person_changes USING (tenant = stint_tenant()) WITH CHECK (tenant = stint_tenant());
GRANT SELECT, INSERT, UPDATE ON person_changes TO stint_app;
