-- name: make_log_partition
-- Makes the partition of `scenario_logs` for the month of $1; answers whether it was missing.
SELECT make_log_partition($1::date);

-- name: make_metric_partition
-- Makes the partition of `scenario_metrics` for the day $1; answers whether it was missing.
SELECT make_metric_partition($1::date);

-- name: lock_partitions
-- One maintenance run at a time, until the end of the transaction.
SELECT pg_advisory_xact_lock(7811325);

-- name: forget_applied_requests
-- Drops up to $2 requests applied before $1, oldest first; answers how many. Small steps keep locks and WAL bursts short.
WITH old AS (
    SELECT ctid FROM applied_requests WHERE applied_at < $1 LIMIT $2
), gone AS (
    DELETE FROM applied_requests WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) AND applied_at < $1 RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_sign_ins
-- Drops what no longer matters: sessions and revocations that have expired, and failures that are forgiven by now.
WITH sessions_gone AS (DELETE FROM sessions WHERE expires_at < now()),
     revocations_gone AS (DELETE FROM token_revocations WHERE expires_at < now())
DELETE FROM sign_in_failures WHERE failed_at < now() - interval '1 day' AND locked_until < now();

-- name: forget_patterns
-- Drops the patterns of hours before $1; answers how many. A day's worth at most, where it runs hourly.
WITH gone AS (DELETE FROM scenario_patterns WHERE hour < $1 RETURNING 1) SELECT count(*) FROM gone;

-- name: archived_folders
-- One object of each folder of the archive that got one from $1 until before $2, $3 folders at most.
SELECT min(object_key) AS object_key FROM archive_objects WHERE created_at >= $1 AND created_at < $2
GROUP BY tenant_id, scenario_id, hour LIMIT $3;

-- name: known_objects
-- Those of the names $1 that the manifest holds.
SELECT object_key FROM archive_objects WHERE object_key = ANY ($1);

-- name: first_day_of_lines
-- Before it no partition of lines is left.
SELECT date_trunc('day', min(lower_bound), 'UTC') FROM partition_bounds WHERE parent_table = 'scenario_logs';

-- name: forget_text_blocks
-- Drops the filters of days before $1. Given as a value: so the planner sees that hardly any are, and reads no others.
WITH days AS (DELETE FROM scenario_text_days WHERE day < $1) DELETE FROM scenario_text_blocks WHERE since < $1;
