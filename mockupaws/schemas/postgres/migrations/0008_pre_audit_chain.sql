-- The audit log becomes a chain for each tenant: entry n's `hash` is an HMAC over entry n-1's hash and entry n, under a
-- key the database never sees. See runtime/audit.py.
ALTER TABLE audit_log
    ADD COLUMN number     bigint NOT NULL CHECK (number > 0),
    ADD COLUMN address    text NOT NULL DEFAULT '' CHECK (length(address) <= 100),
    ADD COLUMN request_id text NOT NULL DEFAULT '' CHECK (length(request_id) <= 100),
    ADD COLUMN hash       bytea NOT NULL CHECK (length(hash) = 32),
    -- Two processes that append at once can't both follow the same entry.
    ADD CONSTRAINT audit_log_is_a_chain UNIQUE (tenant_id, number);
CREATE INDEX audit_log_by_actor ON audit_log (tenant_id, actor, number);
