-- Engagements keep what the source calls them and how their terms came about; pins are labels (v0003, t0002) instead of numbers.
ALTER TABLE engagements
    ADD COLUMN external jsonb NOT NULL DEFAULT '{}', -- workforce.engagement.ExternalIdentities
    ADD COLUMN source_lineage jsonb; -- workforce.lineage.SourceLineage; NULL where it was not kept yet

-- FORCE holds for the owner too, who would find no tenant's rows here.
ALTER TABLE engagements NO FORCE ROW LEVEL SECURITY;
UPDATE engagements
SET mapping_pins = (
    SELECT coalesce(jsonb_object_agg(key, 'v' || lpad(value, 4, '0')), '{}') FROM jsonb_each_text(mapping_pins)
)
WHERE mapping_pins <> '{}';
ALTER TABLE engagements FORCE ROW LEVEL SECURITY;

-- How many are pinned to which version, and who follows a promotion, is asked of running engagements alone.
CREATE INDEX engagements_running ON engagements (tenant, id) WHERE tombstoned_at IS NULL;

-- Lines of the failure list that have one cause in common: mending it mends them all.
ALTER TABLE failures ADD COLUMN group_key text;
CREATE INDEX failures_group ON failures (tenant, group_key, since, id) WHERE closed_at IS NULL;

-- Which version of a mapping counts from when on. Of a row, only its decision and its following are ever written later.
CREATE TABLE mapping_promotions (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    seq             bigint GENERATED ALWAYS AS IDENTITY,
    mapping_id      text NOT NULL,
    version         text NOT NULL CHECK (version ~ '^[vt][0-9]{4}$'),
    sha256          text NOT NULL,
    effective_from  date NOT NULL, -- a business date: the version counts for what starts on it or later
    kind            text NOT NULL, -- first_use, promotion, rollback
    running         text NOT NULL, -- what becomes of running engagements: pin, migrate, drain
    reason          text NOT NULL,
    state           text NOT NULL, -- proposed, promoted, withdrawn
    proposed_by     text NOT NULL,
    decided_by      text,
    proposed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at      timestamptz,
    followed_at     timestamptz, -- when running engagements were told to follow
    PRIMARY KEY (tenant, id)
);
CREATE INDEX mapping_promotions_current ON mapping_promotions (tenant, mapping_id, seq DESC) WHERE state = 'promoted';
CREATE UNIQUE INDEX mapping_promotions_first_use ON mapping_promotions (tenant, mapping_id) WHERE kind = 'first_use';
CREATE UNIQUE INDEX mapping_promotions_proposed ON mapping_promotions (tenant, mapping_id) WHERE state = 'proposed';

-- What was written where, and why: one row for each change of an engagement's record in a system. Never changed, never deleted.
CREATE TABLE record_writes (
    tenant          text NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    engagement_id   uuid NOT NULL,
    system          text NOT NULL,
    mapping_id      text NOT NULL,
    version         text NOT NULL,
    sha256          text NOT NULL,
    fields          jsonb NOT NULL, -- target → workforce.lineage.MappedField
    changed         text[] NOT NULL, -- the targets that this write changed
    source          jsonb, -- workforce.lineage.SourceLineage as it was then
    written_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, engagement_id) REFERENCES engagements
);
CREATE INDEX record_writes_newest ON record_writes (tenant, engagement_id, system, written_at DESC, id DESC);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['mapping_promotions', 'record_writes']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = stint_tenant()) WITH CHECK (tenant = stint_tenant())', name);
    END LOOP;
END;
$$;
GRANT SELECT, INSERT, UPDATE (state, decided_by, decided_at, followed_at) ON mapping_promotions TO stint_app;
GRANT SELECT, INSERT ON record_writes TO stint_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO stint_app;
