-- A query without a tenant fails, instead of finding nothing: what finds nothing looks like a tenant without data.
-- And what the audit of the catalogue found: tests/integration/isolation.

CREATE FUNCTION no_tenant() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION 'no tenant is set for this transaction' USING ERRCODE = 'insufficient_privilege',
        HINT = 'use tenant_transaction of runtime/postgres.py';
END $$;
-- Still one expression, which the planner takes into the query; no_tenant() is called only where the setting is empty.
CREATE OR REPLACE FUNCTION current_tenant() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('app.current_tenant', true), '')::uuid, no_tenant());

-- With the rights of who asks, like every view here.
ALTER VIEW partition_bounds SET (security_invoker = true);

-- Where a path doesn't name pg_temp, it is searched first: a temporary table would stand in for ours.
DO $$
DECLARE definer regprocedure;
BEGIN
    FOR definer IN SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, public, pg_temp', definer);
    END LOOP;
END $$;

-- Foreign keys are checked past row-level security: with the tenant in them they can't reach into another's rows.
ALTER TABLE users ADD CONSTRAINT users_in_tenant UNIQUE (tenant_id, id);
ALTER TABLE sessions ADD CONSTRAINT sessions_in_tenant UNIQUE (tenant_id, id);
ALTER TABLE sessions
    DROP CONSTRAINT sessions_user_id_fkey,
    ADD CONSTRAINT sessions_of_user_in_tenant
        FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE;
ALTER TABLE refresh_tokens
    DROP CONSTRAINT refresh_tokens_session_id_fkey,
    ADD CONSTRAINT refresh_tokens_of_session_in_tenant
        FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE;

-- Nothing that serves tenants reads the offsets.
REVOKE SELECT ON consumer_offsets, source_offsets FROM mockupaws_api;
