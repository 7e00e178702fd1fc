-- Tokens of a tenant since midnight, from the rollups. The index holds one entry for each scenario and minute, and no
-- value, so that additions to a rollup stay off it.
CREATE INDEX scenario_metrics_tokens_of_tenant ON scenario_metrics (tenant_id, "timestamp")
    WHERE metric_type = 'bedrock' AND metric_name = 'tokens';

-- For the gateways: tokens that the tenants `wanted` have stored this UTC day, and the seconds until it ends.
CREATE FUNCTION tokens_today(wanted uuid[])
    RETURNS TABLE (tenant_id uuid, tokens bigint, resets_in double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    BEGIN ATOMIC
        SELECT w.id,
               (SELECT coalesce(sum(m.value), 0)::bigint FROM scenario_metrics AS m
                WHERE m.tenant_id = w.id AND m.metric_type = 'bedrock' AND m.metric_name = 'tokens'
                  AND m."timestamp" >= date_trunc('day', now(), 'UTC')),
               extract(epoch FROM date_trunc('day', now(), 'UTC') + interval '1 day' - now())::double precision
        FROM unnest(wanted) AS w (id);
    END;

REVOKE ALL ON FUNCTION tokens_today FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tokens_today TO mockupaws_api;
