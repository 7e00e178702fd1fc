-- Summaries of the rollups by hour and day, and how the lines of each hour are spread over source, level and findings.

-- The hours in which a scenario has rollups. Whoever changes minutes raises `changes` of their hours in the same
-- transaction; `folded` is what `changes` was when the hour was last folded into scenario_summaries: where the two differ,
-- the summary is out of date, and the minutes are read.
CREATE TABLE scenario_hours (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    hour        timestamptz NOT NULL,
    changes     bigint NOT NULL,
    folded      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (scenario_id, hour)
) WITH (fillfactor = 70);

-- The same for days: `folded` is the sum of `changes` over the day's hours.
CREATE TABLE scenario_days (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    day         timestamptz NOT NULL,
    folded      bigint NOT NULL,
    PRIMARY KEY (scenario_id, day)
);

CREATE TABLE scenario_summaries (
    tenant_id    uuid NOT NULL,
    scenario_id  uuid NOT NULL,
    span         text NOT NULL CHECK (span IN ('hour', 'day')),
    start        timestamptz NOT NULL,
    metric_type  text NOT NULL,
    metric_name  text NOT NULL,
    value        bigint NOT NULL,
    minutes      integer NOT NULL,
    first_minute timestamptz NOT NULL,
    last_minute  timestamptz NOT NULL,
    -- As in scenario_metrics, but of ingest.entries: in how many seconds so many entries were received.
    counts       jsonb,
    PRIMARY KEY (scenario_id, span, start, metric_type, metric_name)
);

-- Lines of an hour by source, level and findings. Sinks only append, so none waits for another; what stands here for an
-- hour adds up, and maintenance folds it into one row a combination. source is null for those beyond a sink's bound.
CREATE TABLE scenario_facets (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    hour        timestamptz NOT NULL,
    source      text,
    level       text NOT NULL,
    pii_types   text[] NOT NULL,
    entries     bigint NOT NULL,
    folded      boolean NOT NULL DEFAULT false
);
CREATE INDEX scenario_facets_of_hour ON scenario_facets (scenario_id, hour);
CREATE INDEX scenario_facets_to_fold ON scenario_facets (hour) WHERE NOT folded;

-- Distributions of one metric added up; null where there are none.
CREATE FUNCTION sum_counts(parts jsonb[]) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT jsonb_object_agg(key, total)
            FROM (SELECT key, sum(value::bigint) AS total FROM unnest(parts) AS part, jsonb_each_text(part) GROUP BY key) AS summed);
-- The same for minutes of a metric; of ingest.entries it tells in how many seconds so many entries were received.
CREATE FUNCTION fold_counts(metric_type text, metric_name text, parts jsonb[]) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (metric_type, metric_name) <> ('ingest', 'entries') THEN sum_counts(parts)
           ELSE (SELECT jsonb_object_agg(entries, seconds)
                 FROM (SELECT value AS entries, count(*) AS seconds FROM unnest(parts) AS part, jsonb_each_text(part)
                       GROUP BY value) AS rates) END;

INSERT INTO scenario_hours (tenant_id, scenario_id, hour, changes)
SELECT DISTINCT tenant_id, scenario_id, date_trunc('hour', "timestamp", 'UTC'), 1 FROM scenario_metrics;
INSERT INTO scenario_facets
SELECT tenant_id, scenario_id, date_trunc('hour', received_at, 'UTC'), source, level, pii_types, count(*), true
FROM scenario_logs GROUP BY 1, 2, 3, 4, 5, 6;

DO $$
DECLARE tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['scenario_hours', 'scenario_days', 'scenario_summaries', 'scenario_facets'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', tenant_table);
        EXECUTE format('GRANT SELECT ON %I TO mockupaws_api', tenant_table);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON scenario_hours TO mockupaws_sink;
GRANT INSERT ON scenario_facets TO mockupaws_sink;
