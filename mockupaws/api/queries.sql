-- Every statement of the API. All run in a tenant's transaction, so row-level security applies to each.

-- name: insert_scenario
-- A new scenario.
INSERT INTO scenarios (id, tenant_id, name, description, region, architecture)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id, name, description, architecture, version, created_at, updated_at;

-- name: find_scenario
-- One scenario that isn't deleted.
SELECT id, name, description, architecture, version, created_at, updated_at
FROM scenarios WHERE id = $1 AND deleted_at IS NULL;

-- name: find_measured_scenario
-- The same with the moment its newest stored line was received at: what reads of its traffic begin with.
SELECT id, name, description, architecture, version, created_at, updated_at,
       (SELECT received_at FROM scenario_logs WHERE scenario_id = $1 ORDER BY received_at DESC, id DESC LIMIT 1)
           AS data_through
FROM scenarios WHERE id = $1 AND deleted_at IS NULL;

-- name: list_scenarios
-- A page in order of creation, after a position ($1, $2 null: from the start).
SELECT id, name, description, architecture, version, created_at, updated_at
FROM scenarios
WHERE deleted_at IS NULL AND ($1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid))
ORDER BY created_at, id
LIMIT $3;

-- name: update_scenario
-- Changes a scenario that still has the version the caller read.
UPDATE scenarios
SET name = $3, description = $4, region = $5, architecture = $6, version = version + 1, updated_at = now()
WHERE id = $1 AND version = $2 AND deleted_at IS NULL
RETURNING id, name, description, architecture, version, created_at, updated_at;

-- name: delete_scenario
-- Its logs stay until their retention ends; nothing reaches them through it any more.
UPDATE scenarios SET deleted_at = now(), updated_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING id;

-- name: scenario_versions
-- Versions of a scenario below $2, newest first.
SELECT version, name, description, architecture, created_at
FROM scenario_versions WHERE scenario_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3;

-- name: scenario_version
-- One version.
SELECT version, name, description, architecture, created_at
FROM scenario_versions WHERE scenario_id = $1 AND version = $2;

-- name: keep_estimate
-- Keeps an estimate; nothing, where it is kept already.
INSERT INTO estimates (tenant_id, id, scenario_id, scenario_version, note, snapshot, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING id, scenario_id, scenario_version, note, snapshot, created_at, created_by;

-- name: find_estimate
-- One that was kept.
SELECT id, scenario_id, scenario_version, note, snapshot, created_at, created_by FROM estimates WHERE id = $1;

-- name: list_estimates
-- A page of a scenario's, newest first, before a position ($2, $3 null: from the newest).
SELECT id, scenario_id, scenario_version, note, created_at, created_by
FROM estimates
WHERE scenario_id = $1
  AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, 'est_' || replace($3::uuid::text, '-', '')))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: count_budgets
-- Budgets the tenant has.
SELECT count(*) FROM budgets WHERE deleted_at IS NULL;

-- name: insert_budget
-- A new budget.
INSERT INTO budgets (tenant_id, id, scenario_id, name, metric, "limit", thresholds, window_days, webhook_url, emails,
                     webhook_secret)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
RETURNING id, scenario_id, name, metric, "limit", thresholds, window_days, webhook_url,
       webhook_secret <> '' AS webhook_signed, emails, version, created_at, updated_at;

-- name: list_budgets
-- The tenant's, oldest first; it may have no more than a hundred.
SELECT id, scenario_id, name, metric, "limit", thresholds, window_days, webhook_url,
       webhook_secret <> '' AS webhook_signed, emails, version, created_at, updated_at
FROM budgets WHERE deleted_at IS NULL ORDER BY created_at, id;

-- name: find_budget
-- One budget.
SELECT id, scenario_id, name, metric, "limit", thresholds, window_days, webhook_url,
       webhook_secret <> '' AS webhook_signed, emails, version, created_at, updated_at
FROM budgets WHERE id = $1 AND deleted_at IS NULL;

-- name: update_budget
-- Changes a budget that still has the version the caller read.
UPDATE budgets
SET name = $3, "limit" = $4, thresholds = $5, window_days = $6, webhook_url = $7, emails = $8, version = version + 1,
    webhook_secret = coalesce($9, webhook_secret), updated_at = now()
WHERE id = $1 AND version = $2 AND deleted_at IS NULL
RETURNING id, scenario_id, name, metric, "limit", thresholds, window_days, webhook_url,
       webhook_secret <> '' AS webhook_signed, emails, version, created_at, updated_at;

-- name: delete_budget
-- Its alerts stay for whoever looks them up.
UPDATE budgets SET deleted_at = now(), updated_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING id;

-- name: list_budget_alerts
-- The last of a budget, newest first.
SELECT id, period AS month, threshold, amount, "limit", complete, budget_version, created_at, webhook_sent_at,
       email_sent_at, attempts, last_error
FROM budget_alerts WHERE budget_id = $1 ORDER BY created_at DESC, id DESC LIMIT 100;

-- name: logs_newest_first
-- Lines before a position ($9, $10 null: from the newest), of the spans from $16 to before $17, which follow each other in
-- this order. A page ends after looking at $13 lines, however few of them match; the last one looked at is in the answer,
-- whether it matches or not, with the number and bytes of all. received_at stands twice so that partitions prune. Spans
-- are walked one after the other, each along the key: to order the whole again would be to read it first.
SELECT id, received_at, "timestamp", message_preview AS message, encode(message_hash, 'hex') AS message_hash, source,
       level, size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes, policy_version,
       matches, is_last, looked_at, looked_bytes
FROM (
    SELECT *, ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR level = $5)
              AND ($6::boolean IS NULL OR has_pii = $6) AND ($7::text IS NULL OR $7 = ANY (pii_types))
              AND ($15::jsonb IS NULL OR coalesce(attributes @> $15, false))
              AND ($8::text IS NULL OR strpos(lower(message_preview), lower($8)) > 0)
              AND ($12::text[] IS NULL OR EXISTS (
                  SELECT FROM unnest($12) AS mark
                  WHERE strpos(message_preview, mark) > 0 OR strpos(attributes::text, mark) > 0 OR source = mark
                     OR level = mark)) AS matches
    FROM (
        SELECT *, row_number() OVER () AS looked_at, lead(1) OVER () IS NULL AS is_last,
               sum(octet_length(message_preview)) OVER (ROWS UNBOUNDED PRECEDING) AS looked_bytes
        FROM (
            SELECT line.* FROM unnest($16::timestamptz[], $17::timestamptz[]) AS span (since, until), LATERAL (
                SELECT * FROM scenario_logs
                WHERE scenario_id = $1 AND received_at >= span.since AND received_at < span.until
                  AND ($2::timestamptz IS NULL OR received_at >= $2) AND ($3::timestamptz IS NULL OR received_at < $3)
                  AND ($14::timestamptz IS NULL OR received_at <= $14)
                  AND ($9::timestamptz IS NULL OR (received_at <= $9 AND (received_at, id) < ($9, $10::uuid)))
                ORDER BY received_at DESC, id DESC
            ) AS line
            LIMIT $13
        ) AS walked
    ) AS counted
) AS judged
WHERE matches OR is_last
LIMIT $11;

-- name: logs_oldest_first
-- The same after a position, in the other order.
SELECT id, received_at, "timestamp", message_preview AS message, encode(message_hash, 'hex') AS message_hash, source,
       level, size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes, policy_version,
       matches, is_last, looked_at, looked_bytes
FROM (
    SELECT *, ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR level = $5)
              AND ($6::boolean IS NULL OR has_pii = $6) AND ($7::text IS NULL OR $7 = ANY (pii_types))
              AND ($15::jsonb IS NULL OR coalesce(attributes @> $15, false))
              AND ($8::text IS NULL OR strpos(lower(message_preview), lower($8)) > 0)
              AND ($12::text[] IS NULL OR EXISTS (
                  SELECT FROM unnest($12) AS mark
                  WHERE strpos(message_preview, mark) > 0 OR strpos(attributes::text, mark) > 0 OR source = mark
                     OR level = mark)) AS matches
    FROM (
        SELECT *, row_number() OVER () AS looked_at, lead(1) OVER () IS NULL AS is_last,
               sum(octet_length(message_preview)) OVER (ROWS UNBOUNDED PRECEDING) AS looked_bytes
        FROM (
            SELECT line.* FROM unnest($16::timestamptz[], $17::timestamptz[]) AS span (since, until), LATERAL (
                SELECT * FROM scenario_logs
                WHERE scenario_id = $1 AND received_at >= span.since AND received_at < span.until
                  AND ($2::timestamptz IS NULL OR received_at >= $2) AND ($3::timestamptz IS NULL OR received_at < $3)
                  AND ($14::timestamptz IS NULL OR received_at <= $14)
                  AND ($9::timestamptz IS NULL OR (received_at >= $9 AND (received_at, id) > ($9, $10::uuid)))
                ORDER BY received_at, id
            ) AS line
            LIMIT $13
        ) AS walked
    ) AS counted
) AS judged
WHERE matches OR is_last
LIMIT $11;

-- name: all_newest_first
-- As `logs_newest_first`, where no line is passed by: up to $6 lines before a position ($4, $5 null: from the newest).
SELECT id, received_at, "timestamp", message_preview AS message, encode(message_hash, 'hex') AS message_hash, source,
       level, size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes, policy_version,
       true AS matches, false AS is_last, 0 AS looked_at, 0 AS looked_bytes
FROM scenario_logs
WHERE scenario_id = $1
  AND ($2::timestamptz IS NULL OR received_at >= $2) AND ($3::timestamptz IS NULL OR received_at < $3)
  AND ($4::timestamptz IS NULL OR (received_at <= $4 AND (received_at, id) < ($4, $5::uuid)))
ORDER BY received_at DESC, id DESC
LIMIT $6;

-- name: all_oldest_first
-- As `logs_oldest_first`, where no line is passed by: up to $6 lines after a position ($4, $5 null: from the oldest).
SELECT id, received_at, "timestamp", message_preview AS message, encode(message_hash, 'hex') AS message_hash, source,
       level, size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes, policy_version,
       true AS matches, false AS is_last, 0 AS looked_at, 0 AS looked_bytes
FROM scenario_logs
WHERE scenario_id = $1
  AND ($2::timestamptz IS NULL OR received_at >= $2) AND ($3::timestamptz IS NULL OR received_at < $3)
  AND ($4::timestamptz IS NULL OR (received_at >= $4 AND (received_at, id) > ($4, $5::uuid)))
ORDER BY received_at, id
LIMIT $6;

-- name: page_as_json
-- A page of the statement it is put after, as a JSON object a line; $0 (its last argument): attributes as their JSON text.
SELECT string_agg(row_to_json(line)::text, E'\n') FILTER (WHERE matches) AS text, count(*) FILTER (WHERE matches) AS lines,
       (array_agg(page.received_at))[count(*)] AS received_at, (array_agg(page.id))[count(*)] AS id,
       coalesce(bool_or(is_last), false) AS is_last, coalesce(max(looked_at), 0) AS looked_at,
       coalesce(max(looked_bytes), 0) AS looked_bytes
FROM page, LATERAL (
    SELECT page.id, page.received_at, page."timestamp", message, message_hash, source, level, size_bytes, has_pii, pii_types,
           token_count, sqs_blocks, CASE WHEN $0::boolean THEN to_jsonb(attributes::text) ELSE attributes END AS attributes,
           policy_version
) AS line;

-- name: page_as_csv
-- The same as CSV, a row a line ($0 is for JSON). A spreadsheet must not take a logged text for a formula: what would be one
-- begins with an apostrophe.
SELECT string_agg(
           '"' || id || '",' || to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"Z"') || ','
           || coalesce(to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"Z"'), '')
           || CASE WHEN ascii(message) IN (9, 13, 43, 45, 61, 64) THEN ',"''' ELSE ',"' END || replace(message, '"', '""')
           || '","' || message_hash
           || CASE WHEN ascii(source) IN (9, 13, 43, 45, 61, 64) THEN '","''' ELSE '","' END || replace(source, '"', '""')
           || CASE WHEN ascii(level) IN (9, 13, 43, 45, 61, 64) THEN '","''' ELSE '","' END || replace(level, '"', '""')
           || '",' || size_bytes || ',' || has_pii || ',"' || array_to_string(pii_types, ' ') || '",' || token_count || ','
           || sqs_blocks || ',' || coalesce('"' || replace(attributes::text, '"', '""') || '"', '') || ','
           || coalesce(policy_version::text, ''), E'\n') FILTER (WHERE matches) AS text,
       count(*) FILTER (WHERE matches) AS lines, (array_agg(received_at))[count(*)] AS received_at,
       (array_agg(id))[count(*)] AS id, coalesce(bool_or(is_last), false) AS is_last,
       coalesce(max(looked_at), 0) AS looked_at, coalesce(max(looked_bytes), 0) AS looked_bytes
FROM page WHERE $0::boolean;

-- name: look_end
-- The last of the $4 lines after the position $2, $3; none where there are fewer.
SELECT received_at, id FROM scenario_logs
WHERE scenario_id = $1 AND received_at >= $2 AND (received_at, id) > ($2, $3::uuid)
ORDER BY received_at, id
OFFSET $4 - 1 LIMIT 1;

-- name: count_lines
-- How many lines after the position $2, $3, up to the position $4, $5, meet the conditions of a page.
SELECT count(*) FROM scenario_logs
WHERE scenario_id = $1 AND received_at >= $2 AND (received_at, id) > ($2, $3::uuid)
  AND received_at <= $4 AND (received_at, id) <= ($4, $5::uuid)
  AND ($6::text IS NULL OR source = $6) AND ($7::text IS NULL OR level = $7)
  AND ($8::boolean IS NULL OR has_pii = $8) AND ($9::text IS NULL OR $9 = ANY (pii_types))
  AND ($10::jsonb IS NULL OR attributes @> $10)
  AND ($11::text IS NULL OR strpos(lower(message_preview), lower($11)) > 0)
  AND ($12::text[] IS NULL OR EXISTS (
      SELECT 1 FROM unnest($12) AS mark
      WHERE strpos(message_preview, mark) > 0 OR strpos(attributes::text, mark) > 0 OR source = mark OR level = mark));

-- name: newest_line
-- The position of the newest stored line.
SELECT received_at, id FROM scenario_logs WHERE scenario_id = $1 ORDER BY received_at DESC, id DESC LIMIT 1;

-- name: patterns
-- The templates of the hours from $2 to before $3, each hour's sample weighted to the entries it was taken from ($5: the
-- entries stored in each of the hours $4); most first.
WITH sampled AS (
    SELECT hour, sum(entries) AS entries FROM scenario_patterns
    WHERE scenario_id = $1 AND hour >= $2 AND hour < $3 GROUP BY hour
), weights AS (
    SELECT hour, greatest(coalesce(stored.entries, 0) / nullif(sampled.entries, 0), 1) AS weight
    FROM sampled LEFT JOIN unnest($4::timestamptz[], $5::numeric[]) AS stored (hour, entries) USING (hour)
)
SELECT min(template) AS template, sum(entries)::bigint AS sampled_entries, round(sum(entries * weight))::bigint AS entries,
       round(sum(bytes * weight))::bigint AS bytes, round(sum(tokens * weight))::bigint AS tokens,
       round(sum(sqs_blocks * weight))::bigint AS sqs_blocks
FROM scenario_patterns JOIN weights USING (hour)
WHERE scenario_id = $1 AND hour >= $2 AND hour < $3
GROUP BY template_id
ORDER BY entries DESC
LIMIT $6;

-- name: tokens_today
-- Tokens of the tenant's lines this UTC day, and of its last whole minutes: a rate.
SELECT coalesce(sum(value), 0)::bigint AS tokens,
       coalesce(sum(value) FILTER (WHERE "timestamp" >= now() - interval '15 minutes'), 0)::bigint AS recent,
       least(900, greatest(60, extract(epoch FROM now() - date_trunc('day', now(), 'UTC'))))::double precision
           AS recent_seconds,
       extract(epoch FROM date_trunc('day', now(), 'UTC') + interval '1 day' - now())::double precision AS resets_in
FROM scenario_metrics
WHERE tenant_id = current_tenant() AND metric_type = 'bedrock' AND metric_name = 'tokens'
  AND "timestamp" >= date_trunc('day', now(), 'UTC');

-- name: find_receipts
-- What became of some requests.
SELECT request_id, accepted, stored, dead_lettered FROM ingest_receipts WHERE request_id = ANY ($1::uuid[]);

-- name: list_dead_letters
-- A page of letters before a position ($8, $9 null: from the newest). Their original bytes are not to be read here.
SELECT id, scenario_id, request_id, reason, step, detail, state, attempts, accepted, entry_indexes, received_at,
       occurred_at, changed_at, topic, partition, "offset", software_version, record_version
FROM dead_letters
WHERE ($1::timestamptz IS NULL OR occurred_at >= $1) AND ($2::timestamptz IS NULL OR occurred_at < $2)
  AND ($3::uuid IS NULL OR scenario_id = $3) AND ($4::uuid IS NULL OR request_id = $4)
  AND ($5::text IS NULL OR reason = $5) AND ($6::text IS NULL OR step = $6) AND ($7::text IS NULL OR state = $7)
  AND ($8::timestamptz IS NULL OR (occurred_at, id) < ($8, $9::uuid))
ORDER BY occurred_at DESC, id DESC
LIMIT $10;

-- name: find_dead_letter
-- One letter of the tenant.
SELECT id, scenario_id, request_id, reason, step, detail, state, attempts, accepted, entry_indexes, received_at,
       occurred_at, changed_at, topic, partition, "offset", software_version, record_version
FROM dead_letters WHERE id = $1;
