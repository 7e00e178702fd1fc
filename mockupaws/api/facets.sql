-- How lines are spread, from the counts of whole hours by source, level and findings.

-- name: facets
-- Lines from hour $2 to before hour $3 that meet the conditions, the most frequent combinations first.
SELECT source, level, pii_types, sum(entries)::bigint AS entries
FROM scenario_facets
WHERE scenario_id = $1 AND hour >= $2 AND hour < $3
  AND ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR level = $5)
  AND ($6::boolean IS NULL OR (pii_types <> '{}') = $6) AND ($7::text IS NULL OR $7 = ANY (pii_types))
GROUP BY 1, 2, 3
ORDER BY 4 DESC
LIMIT $8;

-- name: hits_by_hour
-- The same over time, in steps of $8 seconds from the epoch.
SELECT date_bin(make_interval(secs => $8), hour, 'epoch') AS "timestamp", sum(entries)::bigint AS entries
FROM scenario_facets
WHERE scenario_id = $1 AND hour >= $2 AND hour < $3
  AND ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR level = $5)
  AND ($6::boolean IS NULL OR (pii_types <> '{}') = $6) AND ($7::text IS NULL OR $7 = ANY (pii_types))
GROUP BY 1 ORDER BY 1;

-- name: hits_by_line
-- The same counted line by line, from $2 to before $3; also by text ($9) and attributes ($10).
SELECT date_bin(make_interval(secs => $8), received_at, 'epoch') AS "timestamp", count(*) AS entries
FROM scenario_logs
WHERE scenario_id = $1 AND received_at >= $2 AND received_at < $3
  AND ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR level = $5)
  AND ($6::boolean IS NULL OR has_pii = $6) AND ($7::text IS NULL OR $7 = ANY (pii_types))
  AND ($9::text IS NULL OR strpos(lower(message_preview), lower($9)) > 0)
  AND ($10::jsonb IS NULL OR attributes @> $10)
GROUP BY 1 ORDER BY 1;
