-- Estimates that were kept: all a bill was made of, as one document whose digest is its id.
CREATE TABLE estimates (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    id               text NOT NULL CHECK (id ~ '^est_[0-9a-f]{32}$'),
    scenario_id      uuid NOT NULL,
    scenario_version integer NOT NULL,
    note             text NOT NULL DEFAULT '' CHECK (length(note) <= 1000),
    snapshot         text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    created_by       text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX estimates_of_scenario ON estimates (scenario_id, created_at DESC, id);
ALTER TABLE estimates ENABLE ROW LEVEL SECURITY;
ALTER TABLE estimates FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON estimates USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON estimates FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT, INSERT ON estimates TO mockupaws_api;
