-- Figures from the rollups. What a window holds is read from summaries of whole days and hours that are up to date, and from
-- the minutes for the rest: all statements of one answer in one snapshot.

-- name: covered
-- What each statement over a window $6 to $7 begins with. `days`: those from $4 to before $5 whose summaries serve. `rest`:
-- the hours from $2 to before $3 on no such day: whether their summaries serve, and whether the window holds all of them.
-- A day that serves costs the sum over its hours; no row of them is carried on.
WITH days AS MATERIALIZED (
    SELECT d.day FROM scenario_days AS d
    WHERE d.scenario_id = $1 AND d.day >= $4::timestamptz AND d.day < $5::timestamptz
      AND d.folded = (SELECT sum(h.changes)::bigint FROM scenario_hours AS h
                      WHERE h.scenario_id = $1 AND h.hour >= d.day AND h.hour < d.day + interval '24 hours')
), gaps AS (
    SELECT lag(until, 1, $2::timestamptz) OVER (ORDER BY until) AS since, day AS until
    FROM (SELECT day, day + interval '24 hours' AS until FROM days UNION ALL SELECT $3::timestamptz, 'infinity') AS ends
), rest AS MATERIALIZED (
    SELECT h.hour, h.folded = h.changes AS serves, h.hour >= $6 AND h.hour + interval '1 hour' <= $7 AS whole
    FROM gaps, LATERAL (
        SELECT hour, folded, changes FROM scenario_hours
        WHERE scenario_id = $1 AND hour >= gaps.since AND hour < gaps.until AND gaps.since < gaps.until
        OFFSET 0  -- gap by gap: else all hours of the scenario are held against each gap
    ) AS h
)

-- name: coverage
-- The days and hours that serve, and the hours whose minutes have to be read.
SELECT ARRAY(SELECT day FROM days) AS days, ARRAY(SELECT hour FROM rest WHERE serves AND whole) AS hours,
       ARRAY(SELECT hour FROM rest WHERE NOT (serves AND whole) ORDER BY hour) AS hours_by_minute;

-- name: totals
-- The sums of each metric over the whole days and hours that serve. Of the others a row each: without a metric where the
-- minutes of the hour have to be read; else with its minutes (`parts`), since the window holds a part of it.
SELECT metric_type, metric_name, sum(value)::bigint AS value, sum(minutes)::bigint AS minutes,
       min(first_minute) AS first_minute, max(last_minute) AS last_minute, NULL::bigint[] AS parts
FROM (
    SELECT metric_type, metric_name, value, minutes, first_minute, last_minute FROM scenario_summaries
    WHERE scenario_id = $1 AND span = 'day' AND start = ANY (ARRAY(SELECT day FROM days))
    UNION ALL
    SELECT metric_type, metric_name, value, minutes, first_minute, last_minute FROM scenario_summaries
    WHERE scenario_id = $1 AND span = 'hour' AND start = ANY (ARRAY(SELECT hour FROM rest WHERE serves AND whole))
) AS served
GROUP BY 1, 2
UNION ALL
SELECT metric_type, metric_name, NULL, NULL, start, NULL, parts FROM scenario_summaries
WHERE scenario_id = $1 AND span = 'hour' AND start = ANY (ARRAY(SELECT hour FROM rest WHERE serves AND NOT whole))
UNION ALL
SELECT NULL, NULL, NULL, NULL, hour, NULL, NULL FROM rest WHERE NOT serves;

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

-- name: series
-- Metric $8, $9 over the days and hours that serve, in no order: each with its sum, a day with its 24 hours (`parts`), an hour
-- with its 60 minutes if the window holds a part of it, or where $10 all do. Of other hours a row without a sum: their minutes
-- have to be read.
SELECT start, true AS is_day, value, parts FROM scenario_summaries
WHERE scenario_id = $1 AND span = 'day' AND start = ANY (ARRAY(SELECT day FROM days))
  AND metric_type = $8 AND metric_name = $9
UNION ALL
SELECT start, false, value, NULL FROM scenario_summaries
WHERE scenario_id = $1 AND span = 'hour' AND start = ANY (ARRAY(SELECT hour FROM rest WHERE serves AND whole AND NOT $10))
  AND metric_type = $8 AND metric_name = $9
UNION ALL
SELECT start, false, CASE WHEN parts IS NOT NULL THEN value END, parts FROM scenario_summaries
WHERE scenario_id = $1 AND span = 'hour'
  AND start = ANY (ARRAY(SELECT hour FROM rest WHERE serves AND ($10::boolean OR NOT whole)))
  AND metric_type = $8 AND metric_name = $9
UNION ALL
SELECT hour, false, NULL, NULL FROM rest WHERE NOT serves;

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
