-- What blocks of lines surely don't hold, so that a search for a rare text passes them by: archive/text_filter.py.

-- A block: some lines of a scenario that follow each other, of minutes from `since` to before `until`, on one UTC day. Many
-- lines of these minutes are several parts. `entries`: lines the rollups counted in these minutes when it was made; where
-- they count more now, its filter says nothing about them.
CREATE TABLE scenario_text_blocks (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    part        integer NOT NULL,
    entries     bigint NOT NULL,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    filter      bytea NOT NULL,
    PRIMARY KEY (scenario_id, since, part)
);
ALTER TABLE scenario_text_blocks ALTER COLUMN filter SET STORAGE EXTERNAL;  -- bits at random: nothing to compress
CREATE STATISTICS scenario_text_blocks_of_tenant (dependencies) ON tenant_id, scenario_id FROM scenario_text_blocks;

-- Days whose lines all stand in blocks. `changes`: the sum of scenario_hours.changes they were made of.
CREATE TABLE scenario_text_days (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    day         timestamptz NOT NULL,
    changes     bigint NOT NULL,
    PRIMARY KEY (scenario_id, day)
);

DO $$
DECLARE tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['scenario_text_blocks', 'scenario_text_days'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', tenant_table);
        EXECUTE format('GRANT SELECT ON %I TO mockupaws_api', tenant_table);
    END LOOP;
END $$;
