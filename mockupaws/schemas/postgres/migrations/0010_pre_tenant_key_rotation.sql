-- For the processors' copies: the policy in force of each tenant whose policy or keys changed, with all its keys, the
-- newest first. Beside changed_policies, which processors of the release before ask.
CREATE INDEX tenant_keys_by_change ON tenant_keys (created_at);

CREATE FUNCTION changed_policies_with_keys(since timestamptz)
    RETURNS TABLE (tenant_id uuid, version integer, document jsonb, created_at timestamptz, key_numbers smallint[],
                   wrapped_keys bytea[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT DISTINCT ON (p.tenant_id) p.tenant_id, p.version, p.document, greatest(p.created_at, k.newest),
               coalesce(k.numbers, '{}'), coalesce(k.wrapped, '{}')
        FROM (SELECT r.tenant_id FROM redaction_policies AS r WHERE r.created_at >= since
              UNION SELECT t.tenant_id FROM tenant_keys AS t WHERE t.created_at >= since) AS changed
        JOIN redaction_policies AS p ON p.tenant_id = changed.tenant_id
        LEFT JOIN LATERAL (SELECT max(t.created_at) AS newest, array_agg(t.number ORDER BY t.number DESC) AS numbers,
                                  array_agg(t.wrapped ORDER BY t.number DESC) AS wrapped
                           FROM tenant_keys AS t WHERE t.tenant_id = p.tenant_id) AS k ON true
        ORDER BY p.tenant_id, p.version DESC;
    END;

REVOKE ALL ON FUNCTION changed_policies_with_keys FROM PUBLIC;
GRANT EXECUTE ON FUNCTION changed_policies_with_keys TO mockupaws_api;
