-- name: changed_api_keys
-- Keys of every tenant changed since $1, oldest change first.
SELECT id, tenant_id, prefix, secret_hmac, scopes, expires_at, revoked_at, updated_at FROM changed_api_keys($1);

-- name: changed_scenarios
-- Scenarios of every tenant changed since $1, deleted ones too, oldest change first.
SELECT id, tenant_id, deleted, updated_at, model_id FROM changed_scenarios($1);

-- name: find_api_key
-- The key with prefix $1.
SELECT id, tenant_id, secret_hmac, scopes, expires_at, revoked_at FROM find_api_key($1);

-- name: find_scenario
-- Scenario $1; none where it is deleted.
SELECT tenant_id, model_id FROM find_scenario($1);

-- name: stored_offsets
-- The next offset to be stored of each partition of the topic with id $1.
SELECT partition, next_offset FROM stored_offsets($1);
