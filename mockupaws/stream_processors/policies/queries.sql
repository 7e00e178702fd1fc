-- name: changed_policies
-- The newest version of each tenant that changed since $1, and the tenant's newest key.
SELECT tenant_id, version, document, created_at, key_number, wrapped_key FROM changed_policies($1);

-- name: newest_policy
-- The policy of tenant $1 that is in force.
SELECT version, document FROM redaction_policies WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1;

-- name: newest_key
-- The key of tenant $1 that marks are made under.
SELECT number, wrapped FROM tenant_keys WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1;

-- name: keys
-- All keys of tenant $1: marks of before were made under the older ones.
SELECT number, wrapped FROM tenant_keys WHERE tenant_id = $1 ORDER BY number DESC;
