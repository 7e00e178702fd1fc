-- Blocks of lines and what they may hold. Run as the owner, by one process at a time.

-- name: lock_text_blocks
-- True for the one that makes them, until the end of the transaction.
SELECT pg_try_advisory_xact_lock(7811327);

-- name: text_days_due
-- Days that have lines which may stand in no block, the newest first: those are asked for.
SELECT h.tenant_id, h.scenario_id, h.day, h.changes
FROM (
    SELECT tenant_id, scenario_id, date_trunc('day', hour, 'UTC') AS day, sum(changes)::bigint AS changes
    FROM scenario_hours
    WHERE hour >= (SELECT min(lower_bound) FROM partition_bounds WHERE parent_table = 'scenario_logs')
    GROUP BY 1, 2, 3
) AS h
LEFT JOIN scenario_text_days AS d ON d.scenario_id = h.scenario_id AND d.day = h.day
WHERE h.changes IS DISTINCT FROM d.changes
ORDER BY h.day DESC, h.scenario_id;

-- name: hour_changes
-- Of the hours of scenario $1 from $2 to before $3.
SELECT hour, changes FROM scenario_hours WHERE scenario_id = $1 AND hour >= $2 AND hour < $3;

-- name: minute_entries
-- Lines of scenario $1 in each minute from $2 to before $3.
SELECT "timestamp", value FROM scenario_metrics
WHERE scenario_id = $1 AND "timestamp" >= $2 AND "timestamp" < $3 AND metric_type = 'ingest' AND metric_name = 'entries';

-- name: day_blocks
-- The blocks of scenario $1 from $2 to before $3; parts of the same minutes count once.
SELECT DISTINCT since, until, entries FROM scenario_text_blocks WHERE scenario_id = $1 AND since >= $2 AND since < $3;

-- name: drop_blocks
-- Those of scenario $1 that begin at $2.
DELETE FROM scenario_text_blocks WHERE scenario_id = $1 AND since = ANY ($2::timestamptz[]);

-- name: read_block
-- The next $6 lines of scenario $1 received from $2 to before $3, after the position $4, $5 (null: from the first): whatever
-- may be searched for in them. Marks of values stand in source and level, too. Of attributes no more than 4,000
-- characters, and whether there are longer ones.
SELECT count(*) AS lines, min(received_at) AS first_at, max(received_at) AS last_at, (array_agg(id))[count(*)] AS last_id,
       convert_to(string_agg(message_preview || E'\n' || coalesce(left(attributes, 4000), '')
                             || CASE WHEN starts_with(source, '[') OR starts_with(level, '[')
                                     THEN E'\n' || source || E'\n' || level ELSE '' END, E'\n'), 'UTF8') AS text,
       coalesce(bool_or(length(attributes) > 4000), false) AS is_cut
FROM (
    SELECT id, received_at, message_preview, source, level, attributes::text AS attributes FROM scenario_logs
    WHERE scenario_id = $1 AND received_at >= $2 AND received_at < $3
      AND ($4::timestamptz IS NULL OR (received_at >= $4 AND (received_at, id) > ($4, $5::uuid)))
    ORDER BY received_at, id
    LIMIT $6
) AS lines;

-- name: add_blocks
-- Of scenario $2, one list a column.
INSERT INTO scenario_text_blocks (tenant_id, scenario_id, since, until, part, entries, first_at, last_at, filter)
SELECT $1, $2, made.* FROM unnest($3::timestamptz[], $4::timestamptz[], $5::integer[], $6::bigint[], $7::timestamptz[],
                                  $8::timestamptz[], $9::bytea[]) AS made;

-- name: mark_text_day
-- All lines of day $3 stand in blocks, as of its changes $4.
INSERT INTO scenario_text_days (tenant_id, scenario_id, day, changes) VALUES ($1, $2, $3, $4)
ON CONFLICT (scenario_id, day) DO UPDATE SET changes = EXCLUDED.changes;

-- name: walk_key
-- For the rest of the transaction lines are read along their key.
SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
       set_config('max_parallel_workers_per_gather', '0', true);
