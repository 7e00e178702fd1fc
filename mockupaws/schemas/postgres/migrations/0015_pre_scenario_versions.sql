-- Every version a scenario has had: what was changed and when stays readable. Who changed it stands in audit_log.
CREATE TABLE scenario_versions (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    scenario_id  uuid NOT NULL,
    version      integer NOT NULL,
    name         text NOT NULL,
    description  text NOT NULL,
    architecture jsonb NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, scenario_id, version)
);
ALTER TABLE scenario_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE scenario_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON scenario_versions USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON scenario_versions FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT, INSERT ON scenario_versions TO mockupaws_api;

INSERT INTO scenario_versions (tenant_id, scenario_id, version, name, description, architecture, created_at)
SELECT tenant_id, id, version, name, description, architecture, updated_at FROM scenarios;

-- Whoever writes a scenario writes its version, in the same transaction.
CREATE FUNCTION keep_scenario_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO scenario_versions (tenant_id, scenario_id, version, name, description, architecture, created_at)
    VALUES (NEW.tenant_id, NEW.id, NEW.version, NEW.name, NEW.description, NEW.architecture, NEW.updated_at)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER keeps_versions AFTER INSERT OR UPDATE OF version ON scenarios
    FOR EACH ROW EXECUTE FUNCTION keep_scenario_version();
