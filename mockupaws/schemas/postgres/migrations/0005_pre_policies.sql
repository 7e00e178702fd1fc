-- What is done with findings, as each tenant decides: one immutable row for each version. The highest is in force.
CREATE TABLE redaction_policies (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    version    integer NOT NULL CHECK (version > 0),
    document   jsonb NOT NULL,
    note       text NOT NULL DEFAULT '' CHECK (length(note) <= 1000),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, version)
);
CREATE INDEX redaction_policies_by_change ON redaction_policies (created_at);

-- Keys of hashed and encrypted marks, wrapped under a secret that the database never sees.
CREATE TABLE tenant_keys (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    number     smallint NOT NULL CHECK (number BETWEEN 1 AND 255),
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, number)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are written once: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;

DO $$
DECLARE tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['redaction_policies', 'tenant_keys'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', tenant_table);
        EXECUTE format('CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON %I FOR EACH ROW '
                       'EXECUTE FUNCTION refuse_change()', tenant_table);
    END LOOP;
END $$;

-- For the processors' copies: the newest version of each tenant that changed, and the key it needs.
CREATE FUNCTION changed_policies(since timestamptz)
    RETURNS TABLE (tenant_id uuid, version integer, document jsonb, created_at timestamptz, key_number smallint,
                   wrapped_key bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT DISTINCT ON (p.tenant_id) p.tenant_id, p.version, p.document, p.created_at, k.number, k.wrapped
        FROM redaction_policies AS p
        LEFT JOIN LATERAL (SELECT t.number, t.wrapped FROM tenant_keys AS t WHERE t.tenant_id = p.tenant_id
                           ORDER BY t.number DESC LIMIT 1) AS k ON true
        WHERE p.created_at >= since
        ORDER BY p.tenant_id, p.version DESC;
    END;

REVOKE ALL ON FUNCTION changed_policies FROM PUBLIC;
GRANT EXECUTE ON FUNCTION changed_policies TO mockupaws_api;
GRANT SELECT, INSERT ON redaction_policies, tenant_keys TO mockupaws_api;
