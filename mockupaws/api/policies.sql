-- name: policy_in_force
-- The newest version of the tenant's redaction policy.
SELECT version, document, note, created_at, created_by FROM redaction_policies ORDER BY version DESC LIMIT 1;

-- name: policy_of_version
-- The policy as it was.
SELECT version, document, note, created_at, created_by FROM redaction_policies WHERE version = $1;

-- name: policy_versions
-- Who changed it when, newest first, below version $1.
SELECT version, note, created_at, created_by FROM redaction_policies WHERE version < $1 ORDER BY version DESC LIMIT $2;

-- name: insert_policy
-- The version after the one that was read; nothing where somebody else was first.
INSERT INTO redaction_policies (tenant_id, version, document, note, created_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING version, document, note, created_at, created_by;

-- name: insert_key
-- A key of the tenant, newer than all before; nothing where somebody else made this number first.
INSERT INTO tenant_keys (tenant_id, number, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
RETURNING number, created_at;

-- name: list_keys
-- Which keys the tenant has had, newest first; not the keys.
SELECT number, created_at FROM tenant_keys ORDER BY number DESC;

-- name: shadow_totals
-- What shadow rules would have acted on, over all scenarios of the tenant.
SELECT metric_name, sum(value)::bigint AS value
FROM scenario_metrics
WHERE scenario_id IN (SELECT id FROM scenarios WHERE deleted_at IS NULL)
  AND metric_type IN ('shadow', 'shadow_rule') AND "timestamp" >= $1 AND "timestamp" < $2
GROUP BY metric_name;

-- name: stored_texts_of_line
-- All that is kept here of the text of line $2, which was received from $3 to before $4.
SELECT message_preview, source, level, attributes::text AS attributes
FROM scenario_logs WHERE scenario_id = $1 AND id = $2 AND received_at >= $3 AND received_at < $4;
