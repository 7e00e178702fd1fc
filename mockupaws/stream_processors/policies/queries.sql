-- name: changed_policies
-- The policy in force of each tenant that has another, or another key, since $1; its keys, newest first.
SELECT tenant_id, version, document, created_at, key_numbers, wrapped_keys FROM changed_policies_with_keys($1);

-- name: newest_policy
-- The policy of tenant $1 that is in force.
SELECT version, document FROM redaction_policies WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1;

-- name: keys
-- All keys of tenant $1, newest first: marks are made under that one, and those of before were under the others.
SELECT number, wrapped FROM tenant_keys WHERE tenant_id = $1 ORDER BY number DESC;
