-- Minutes into hours, hours into days, additions of facets into one row each. Run as the owner, by one process at a time.

-- name: lock_folding
-- True for the one that folds, until the end of the transaction.
SELECT pg_try_advisory_xact_lock(7811326);

-- name: hours_due
-- Up to $2 hours that ended before $1 and have changed since they were folded, the newest first: those are asked for.
SELECT tenant_id, scenario_id, hour, changes FROM scenario_hours
WHERE folded <> changes AND hour < $1::timestamptz - interval '1 hour'
ORDER BY hour DESC, scenario_id
LIMIT $2;

-- name: clear_hours
-- The summaries of hours $2 of scenarios $1.
DELETE FROM scenario_summaries AS s USING unnest($1::uuid[], $2::timestamptz[]) AS due (scenario_id, hour)
WHERE s.scenario_id = due.scenario_id AND s.span = 'hour' AND s.start = due.hour;

-- name: fold_hours
-- Makes them of their minutes, which lie between $3 and before $4.
INSERT INTO scenario_summaries (tenant_id, scenario_id, span, start, metric_type, metric_name, value, minutes,
                                first_minute, last_minute, counts, parts)
SELECT m.tenant_id, m.scenario_id, 'hour', due.hour, m.metric_type, m.metric_name, sum(m.value), count(*),
       min(m."timestamp"), max(m."timestamp"), fold_counts(m.metric_type, m.metric_name, array_agg(m.extra_data)),
       placed(array_agg(extract(minute FROM m."timestamp" - due.hour)::integer), array_agg(m.value), 60)
FROM unnest($1::uuid[], $2::timestamptz[]) AS due (scenario_id, hour)
JOIN scenario_metrics AS m ON m.scenario_id = due.scenario_id AND m."timestamp" >= due.hour
                          AND m."timestamp" < due.hour + interval '1 hour'
WHERE m."timestamp" >= $3 AND m."timestamp" < $4
GROUP BY m.tenant_id, m.scenario_id, due.hour, m.metric_type, m.metric_name;

-- name: mark_hours
-- They stand for changes $3, read before the minutes were: where more came since, they are out of date at once.
UPDATE scenario_hours AS h SET folded = due.changes
FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) AS due (scenario_id, hour, changes)
WHERE h.scenario_id = due.scenario_id AND h.hour = due.hour;

-- name: days_due
-- Up to $2 days from $3 on (null: any) that ended before $1, all of whose hours are folded, and that have changed since they
-- were folded.
SELECT h.tenant_id, h.scenario_id, date_trunc('day', h.hour, 'UTC') AS day, sum(h.changes)::bigint AS changes
FROM scenario_hours AS h
LEFT JOIN scenario_days AS d ON d.scenario_id = h.scenario_id AND d.day = date_trunc('day', h.hour, 'UTC')
WHERE h.hour < date_trunc('day', $1::timestamptz, 'UTC') AND ($3::timestamptz IS NULL OR h.hour >= $3)
GROUP BY 1, 2, 3, d.folded
HAVING bool_and(h.folded = h.changes) AND sum(h.changes) IS DISTINCT FROM d.folded
ORDER BY 3 DESC, 2
LIMIT $2;

-- name: clear_days
-- The summaries of days $2 of scenarios $1.
DELETE FROM scenario_summaries AS s USING unnest($1::uuid[], $2::timestamptz[]) AS due (scenario_id, day)
WHERE s.scenario_id = due.scenario_id AND s.span = 'day' AND s.start = due.day;

-- name: fold_days
-- Makes them of their hours.
INSERT INTO scenario_summaries (tenant_id, scenario_id, span, start, metric_type, metric_name, value, minutes,
                                first_minute, last_minute, counts, parts)
SELECT s.tenant_id, s.scenario_id, 'day', due.day, s.metric_type, s.metric_name, sum(s.value), sum(s.minutes),
       min(s.first_minute), max(s.last_minute), sum_counts(array_agg(s.counts)),
       placed(array_agg(extract(hour FROM s.start - due.day)::integer), array_agg(s.value), 24)
FROM unnest($1::uuid[], $2::timestamptz[]) AS due (scenario_id, day)
JOIN scenario_summaries AS s ON s.scenario_id = due.scenario_id AND s.span = 'hour' AND s.start >= due.day
                            AND s.start < due.day + interval '24 hours'
GROUP BY s.tenant_id, s.scenario_id, due.day, s.metric_type, s.metric_name;

-- name: mark_days
-- They stand for changes $4.
INSERT INTO scenario_days (tenant_id, scenario_id, day, folded)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[])
ON CONFLICT (scenario_id, day) DO UPDATE SET folded = EXCLUDED.folded;

-- name: fold_facets
-- One row a combination for up to $1 hours with additions, whether they have ended or not; answers how many hours.
WITH due AS (
    SELECT DISTINCT scenario_id, hour FROM scenario_facets WHERE NOT folded LIMIT $1
), gone AS (
    DELETE FROM scenario_facets AS f USING due WHERE f.scenario_id = due.scenario_id AND f.hour = due.hour
    RETURNING f.*
), added AS (
    INSERT INTO scenario_facets (tenant_id, scenario_id, hour, source, level, pii_types, entries, folded)
    SELECT tenant_id, scenario_id, hour, source, level, pii_types, sum(entries), true
    FROM gone GROUP BY tenant_id, scenario_id, hour, source, level, pii_types
)
SELECT count(*) FROM due;
