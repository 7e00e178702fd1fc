-- Figures from the rollups. What a window holds is read from summaries of whole days and hours that are up to date, and from
-- the minutes for the rest: all statements of one answer in one snapshot.

-- name: coverage
-- From which days and hours of the window $2 to $3 (null: without bound) summaries serve, and of which hours the minutes
-- have to be read. $4: whether days may serve.
WITH hours AS (
    SELECT hour, date_trunc('day', hour, 'UTC') AS day, changes,
           folded = changes AND ($2::timestamptz IS NULL OR hour >= $2)
               AND ($3::timestamptz IS NULL OR hour + interval '1 hour' <= $3) AS whole
    FROM scenario_hours
    WHERE scenario_id = $1 AND ($2 IS NULL OR hour > $2 - interval '1 hour') AND ($3 IS NULL OR hour < $3)
), days AS (
    SELECT hours.day
    FROM hours JOIN scenario_days AS d ON d.scenario_id = $1 AND d.day = hours.day
    WHERE $4 AND ($2 IS NULL OR hours.day >= $2) AND ($3 IS NULL OR hours.day + interval '24 hours' <= $3)
    GROUP BY hours.day, d.folded HAVING sum(hours.changes) = d.folded
), rest AS (
    SELECT hour, whole FROM hours WHERE day NOT IN (SELECT day FROM days)
)
SELECT ARRAY(SELECT day FROM days) AS days, ARRAY(SELECT hour FROM rest WHERE whole) AS hours,
       ARRAY(SELECT hour FROM rest WHERE NOT whole ORDER BY hour) AS hours_by_minute;

-- name: summary_totals
-- The sums of each metric over days $2 and hours $3.
SELECT metric_type, metric_name, sum(value)::bigint AS value, sum(minutes)::bigint AS minutes,
       min(first_minute) AS first_minute, max(last_minute) AS last_minute
FROM scenario_summaries
WHERE scenario_id = $1 AND (span = 'day' AND start = ANY ($2::timestamptz[]) OR span = 'hour' AND start = ANY ($3::timestamptz[]))
GROUP BY 1, 2;

-- name: minute_totals
-- The same over the minutes from $2 to before $3.
SELECT metric_type, metric_name, sum(value)::bigint AS value, count(*) AS minutes,
       min("timestamp") AS first_minute, max("timestamp") AS last_minute
FROM scenario_metrics WHERE scenario_id = $1 AND "timestamp" >= $2 AND "timestamp" < $3
GROUP BY 1, 2;

-- name: summary_counts
-- How the metrics of $4 and $5 are distributed over days $2 and hours $3, by key; of ingest.entries: entries of a second → seconds.
SELECT metric_type, metric_name, counted.key::bigint AS key, sum(counted.value::bigint)::bigint AS count
FROM scenario_summaries, jsonb_each_text(counts) AS counted
WHERE scenario_id = $1 AND (span = 'day' AND start = ANY ($2::timestamptz[]) OR span = 'hour' AND start = ANY ($3::timestamptz[]))
  AND (metric_type, metric_name) IN (SELECT * FROM unnest($4::text[], $5::text[]))
GROUP BY 1, 2, 3;

-- name: minute_counts
-- The same over the minutes from $2 to before $3, of the metrics of $4 and $5.
SELECT metric_type, metric_name, key, sum(count)::bigint AS count
FROM (
    SELECT metric_type, metric_name, CASE WHEN is_rate THEN counted.value ELSE counted.key END::bigint AS key,
           CASE WHEN is_rate THEN 1 ELSE counted.value::bigint END AS count
    FROM scenario_metrics, jsonb_each_text(extra_data) AS counted,
         LATERAL (SELECT (metric_type, metric_name) = ('ingest', 'entries') AS is_rate) AS kind
    WHERE scenario_id = $1 AND "timestamp" >= $2 AND "timestamp" < $3
      AND (metric_type, metric_name) IN (SELECT * FROM unnest($4::text[], $5::text[]))
) AS counted
GROUP BY 1, 2, 3;

-- name: summary_series
-- Metric $4, $5 over days $2 and hours $3, in steps of $6 seconds from the epoch.
SELECT extract(epoch FROM date_bin(make_interval(secs => $6), start, 'epoch'))::bigint AS epoch, sum(value)::bigint AS value
FROM scenario_summaries
WHERE scenario_id = $1 AND (span = 'day' AND start = ANY ($2::timestamptz[]) OR span = 'hour' AND start = ANY ($3::timestamptz[]))
  AND metric_type = $4 AND metric_name = $5
GROUP BY 1;

-- name: hour_series
-- Metric $4, $5 of each hour of the window $2 to $3 (null: without bound) whose summary is up to date, as two lists: seconds
-- from the epoch, and sums. Of months there are thousands, which as rows would cost the reader more than the server.
SELECT coalesce(array_agg(extract(epoch FROM hour)::bigint), '{}') AS hours, coalesce(array_agg(s.value), '{}') AS sums
FROM scenario_hours AS h JOIN scenario_summaries AS s ON s.scenario_id = $1 AND s.span = 'hour' AND s.start = h.hour
WHERE h.scenario_id = $1 AND h.folded = h.changes AND ($2::timestamptz IS NULL OR h.hour >= $2)
  AND ($3::timestamptz IS NULL OR h.hour + interval '1 hour' <= $3) AND s.metric_type = $4 AND s.metric_name = $5;

-- name: minute_series
-- The same over the minutes from $2 to before $3.
SELECT extract(epoch FROM date_bin(make_interval(secs => $6), "timestamp", 'epoch'))::bigint AS epoch,
       sum(value)::bigint AS value
FROM scenario_metrics
WHERE scenario_id = $1 AND "timestamp" >= $2 AND "timestamp" < $3 AND metric_type = $4 AND metric_name = $5
GROUP BY 1;

-- name: peaks
-- The busiest second and minute of the minutes from $2 to before $3 (null: without bound).
SELECT max((SELECT max(counted.value::bigint) FROM jsonb_each_text(extra_data) AS counted))
           FILTER (WHERE metric_type = 'ingest') AS second_lines,
       max(value) FILTER (WHERE metric_type = 'ingest') AS minute_lines,
       max(value) FILTER (WHERE metric_type = 'bedrock') AS minute_tokens
FROM scenario_metrics
WHERE scenario_id = $1 AND ($2::timestamptz IS NULL OR "timestamp" >= $2) AND ($3::timestamptz IS NULL OR "timestamp" < $3)
  AND (metric_type, metric_name) IN (('ingest', 'entries'), ('bedrock', 'tokens'));
