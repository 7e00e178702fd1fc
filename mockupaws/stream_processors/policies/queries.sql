-- name: changed_policies
-- The newest version of each tenant that changed since $1, and the tenant's newest key.
SELECT tenant_id, version, document, created_at, key_number, wrapped_key FROM changed_policies($1);
