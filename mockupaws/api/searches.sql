-- Which lines a search has to look at: those in no block, and those of blocks that may hold what is searched for.

-- name: walk_key
-- For the rest of the transaction lines are read along their key: of a small scenario the planner would rather sort all.
SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true);

-- name: text_days
-- Days from $2 to before $3 whose lines all stand in blocks, and have got none since.
SELECT d.day FROM scenario_text_days AS d
WHERE d.scenario_id = $1 AND d.day >= $2 AND d.day < $3
  AND d.changes = (SELECT sum(h.changes) FROM scenario_hours AS h
                   WHERE h.scenario_id = $1 AND h.hour >= d.day AND h.hour < d.day + interval '24 hours');

-- name: text_bound_newest_first
-- The end of the minutes of the block that has $4 blocks behind it up to before $3; back to $2.
SELECT until FROM scenario_text_blocks WHERE scenario_id = $1 AND since >= $2 AND since < $3
ORDER BY since DESC, part DESC OFFSET $4 LIMIT 1;

-- name: text_bound_oldest_first
-- The beginning of the minutes of the block that has $4 blocks before it from $2 on; up to before $3.
SELECT since FROM scenario_text_blocks WHERE scenario_id = $1 AND since >= $2 AND since < $3
ORDER BY since, part OFFSET $4 LIMIT 1;

-- name: text_blocks
-- Of the blocks from $2 to before $3: when the lines of those were received that are of the days $4 and may hold all places
-- $5 and the places of one of the marks (places $6, of which a mark has those from $7 to $8); and all that are of other days,
-- which have to be checked.
SELECT coalesce(sum(size), 0)::bigint AS bytes,
       array_agg(first_at) FILTER (WHERE may_hold AND of_whole_day) AS first_at,
       array_agg(last_at) FILTER (WHERE may_hold AND of_whole_day) AS last_at,
       array_agg(since) FILTER (WHERE NOT of_whole_day) AS since,
       array_agg(until) FILTER (WHERE NOT of_whole_day) AS until,
       array_agg(entries) FILTER (WHERE NOT of_whole_day) AS entries,
       array_agg(first_at) FILTER (WHERE NOT of_whole_day) AS unchecked_first_at,
       array_agg(last_at) FILTER (WHERE NOT of_whole_day) AS unchecked_last_at,
       array_agg(may_hold) FILTER (WHERE NOT of_whole_day) AS may_hold
FROM (
    SELECT since, until, entries, first_at, last_at, octet_length(bits) AS size,
           date_trunc('day', since, 'UTC') = ANY ($4::timestamptz[]) AS of_whole_day,
           NOT EXISTS (SELECT FROM unnest($5::integer[]) AS place
                       WHERE get_bit(bits, place & (8 * octet_length(bits) - 1)) = 0)
           AND (cardinality($7::integer[]) = 0 OR EXISTS (
               SELECT FROM unnest($7, $8::integer[]) AS mark (first, last)
               WHERE NOT EXISTS (SELECT FROM unnest(($6::integer[])[mark.first : mark.last]) AS place
                                 WHERE get_bit(bits, place & (8 * octet_length(bits) - 1)) = 0))) AS may_hold
    FROM (
        SELECT since, until, entries, first_at, last_at, filter || '' AS bits  -- read once, not for each bit
        FROM scenario_text_blocks WHERE scenario_id = $1 AND since >= $2 AND since < $3
        OFFSET 0
    ) AS blocks
) AS tested;

-- name: entries_between
-- Lines in the minutes from each of $2 to before the one of $3, all between $4 and $5, as the rollups count them now.
SELECT span.since, coalesce(sum(m.value), 0)::bigint AS entries
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS span (since, until)
LEFT JOIN scenario_metrics AS m ON m.scenario_id = $1 AND m."timestamp" >= span.since AND m."timestamp" < span.until
                               AND m."timestamp" >= $4 AND m."timestamp" < $5
                               AND m.metric_type = 'ingest' AND m.metric_name = 'entries'
GROUP BY span.since;
