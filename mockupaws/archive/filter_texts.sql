-- Blocks of lines and what they may hold. Run as the owner, by one process at a time.

-- name: lock_text_blocks
-- True for the one that makes them, until the end of the transaction.
SELECT pg_try_advisory_xact_lock(7811327);

-- name: text_days_due
-- Days since $1 (null: all) that have lines which may stand in no block, the newest first: those are asked for.
SELECT h.tenant_id, h.scenario_id, h.day, h.changes
FROM (
    SELECT tenant_id, scenario_id, date_trunc('day', hour, 'UTC') AS day, sum(changes)::bigint AS changes
    FROM scenario_hours
    WHERE hour >= coalesce($1::timestamptz, (SELECT min(lower_bound) FROM partition_bounds
                                             WHERE parent_table = 'scenario_logs'))
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
-- The blocks of scenario $1 from $2 to before $3, of the same minutes the first: there may be a thousand.
SELECT since, until, entries FROM scenario_text_blocks
WHERE scenario_id = $1 AND since >= $2 AND since < $3 AND part = 0;

-- name: drop_blocks
-- Those of scenario $1 that begin at $2.
DELETE FROM scenario_text_blocks WHERE scenario_id = $1 AND since = ANY ($2::timestamptz[]);

-- name: read_lines
-- Up to $4 lines of scenario $1 received from $2 to before $3, and all that came at the same moment as the last: when, as
-- bytes, and whatever may be searched for in them, a NUL between each two. Marks of values stand in source and level, too.
-- (91 is '['). A line with long attributes is only a byte that no text has.
SELECT count(*) AS lines, max(received_at) AS last_at, string_agg(timestamptz_send(received_at), '') AS received_at,
       string_agg(CASE WHEN octet_length(attributes) > 4000 THEN '\xff'::bytea
                       WHEN ascii(source) = 91 OR ascii(level) = 91
                           THEN textsend(concat_ws(E'\n', message_preview, attributes, source, level))
                       WHEN attributes IS NULL THEN textsend(message_preview)
                       ELSE textsend(message_preview || E'\n' || attributes) END, '\x00') AS texts
FROM (
    SELECT received_at, message_preview, source, level, attributes::text AS attributes FROM scenario_logs
    WHERE scenario_id = $1 AND received_at >= $2 AND received_at < $3
    ORDER BY received_at
    FETCH FIRST $4 ROWS WITH TIES
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
