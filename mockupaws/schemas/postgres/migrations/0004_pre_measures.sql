-- Distributions beside the rollups' sums, which tokenizer a scenario's model has, and the patterns of its lines.

-- The sum of two distributions {key: count}, key by key; null where both are.
CREATE FUNCTION add_counts(one jsonb, other jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN one IS NULL THEN other
        WHEN other IS NULL THEN one
        ELSE (SELECT jsonb_object_agg(key, count)
              FROM (SELECT key, sum(value::bigint) AS count
                    FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) AS parts
                    GROUP BY key) AS summed)
    END;

-- What the gateway's directory needs of scenarios: whose they are, and whose tokens to count.
DROP FUNCTION changed_scenarios(timestamptz);
CREATE FUNCTION changed_scenarios(since timestamptz)
    RETURNS TABLE (id uuid, tenant_id uuid, deleted boolean, updated_at timestamptz, model_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT s.id, s.tenant_id, s.deleted_at IS NOT NULL, s.updated_at, s.architecture #>> '{model,id}'
        FROM scenarios AS s WHERE s.updated_at >= since ORDER BY s.updated_at;
    END;
CREATE FUNCTION find_scenario(wanted_scenario uuid)
    RETURNS TABLE (tenant_id uuid, model_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT s.tenant_id, s.architecture #>> '{model,id}'
        FROM scenarios AS s WHERE s.id = wanted_scenario AND s.deleted_at IS NULL;
    END;
REVOKE ALL ON FUNCTION changed_scenarios, find_scenario FROM PUBLIC;
GRANT EXECUTE ON FUNCTION changed_scenarios, find_scenario TO mockupaws_api;

-- Templates of redacted lines, found in a sample of each hour; counts are of the sample. The template '' stands for the
-- lines beyond the bound of templates an hour may have.
CREATE TABLE scenario_patterns (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    hour        timestamptz NOT NULL,
    template_id bytea NOT NULL CHECK (length(template_id) = 16),
    template    text NOT NULL CHECK (length(template) <= 1000),
    entries     bigint NOT NULL,
    bytes       bigint NOT NULL,
    tokens      bigint NOT NULL,
    sqs_blocks  bigint NOT NULL,
    PRIMARY KEY (scenario_id, hour, template_id)
) WITH (fillfactor = 70);
CREATE INDEX scenario_patterns_by_hour ON scenario_patterns USING brin (hour);
ALTER TABLE scenario_patterns ENABLE ROW LEVEL SECURITY;
ALTER TABLE scenario_patterns FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON scenario_patterns USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE ON scenario_patterns TO mockupaws_sink;
GRANT SELECT ON scenario_patterns TO mockupaws_api;
