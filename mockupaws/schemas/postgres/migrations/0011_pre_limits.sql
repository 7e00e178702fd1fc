-- What each tenant may use: a tier, and numbers of its own. Tenants of before are not limited; new ones are `free`.
ALTER TABLE tenants
    ADD COLUMN tier text NOT NULL DEFAULT 'unlimited' CHECK (tier IN ('free', 'premium', 'enterprise', 'unlimited')),
    ADD COLUMN limit_overrides jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limit_overrides) = 'object'),
    ADD COLUMN limits_changed_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE tenants ALTER COLUMN tier SET DEFAULT 'free';
CREATE INDEX tenants_by_change_of_limits ON tenants (limits_changed_at);

-- For the copies that gateway and API hold: plans of every tenant changed since then.
CREATE FUNCTION changed_limits(since timestamptz)
    RETURNS TABLE (tenant_id uuid, tier text, overrides jsonb, changed_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    BEGIN ATOMIC
        SELECT t.id, t.tier, t.limit_overrides, t.limits_changed_at
        FROM tenants AS t WHERE t.limits_changed_at >= since ORDER BY t.limits_changed_at;
    END;

REVOKE ALL ON FUNCTION changed_limits FROM PUBLIC;
GRANT EXECUTE ON FUNCTION changed_limits TO mockupaws_api;
