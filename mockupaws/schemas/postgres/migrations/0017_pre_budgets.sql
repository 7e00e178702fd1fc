-- Budgets of scenarios, and the alerts they raised: one for each threshold, month and version of the budget.
CREATE TABLE budgets (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    id          uuid NOT NULL,
    scenario_id uuid NOT NULL,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    metric      text NOT NULL,
    "limit"     numeric NOT NULL CHECK ("limit" > 0),
    thresholds  integer[] NOT NULL,
    window_days integer NOT NULL,
    webhook_url text NOT NULL DEFAULT '',
    emails      text[] NOT NULL DEFAULT '{}',
    version     integer NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE budget_alerts (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    budget_id       uuid NOT NULL,
    budget_version  integer NOT NULL,
    period          date NOT NULL,
    threshold       integer NOT NULL,
    amount          numeric NOT NULL,
    "limit"         numeric NOT NULL,
    complete        boolean NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    webhook_sent_at timestamptz,
    email_sent_at   timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error      text NOT NULL DEFAULT '' CHECK (length(last_error) <= 500),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES budgets (tenant_id, id),
    UNIQUE (tenant_id, budget_id, budget_version, period, threshold)
);
CREATE INDEX budget_alerts_to_send ON budget_alerts (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

DO $$
DECLARE tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['budgets', 'budget_alerts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', tenant_table);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON budgets TO mockupaws_api;
GRANT SELECT ON budget_alerts TO mockupaws_api;
