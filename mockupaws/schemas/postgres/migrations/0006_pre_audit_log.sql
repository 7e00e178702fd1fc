-- Who did what to which thing, and why: for changes of policies, and whatever is revealed or refused to be.
CREATE TABLE audit_log (
    id        uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL,
    action    text NOT NULL,
    target    text NOT NULL,
    outcome   text NOT NULL CHECK (outcome IN ('done', 'refused')),
    reason    text NOT NULL DEFAULT '' CHECK (length(reason) <= 1000),
    details   jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_of_tenant ON audit_log (tenant_id, at, id);

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON audit_log USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON audit_log TO mockupaws_api;
