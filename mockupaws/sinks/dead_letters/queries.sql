-- Every statement of the browsing and redriving of dead letters; they run as the sinks' role, which sees all tenants.

-- name: list_letters
-- The letters that meet all conditions (null: any), the newest first, without their original bytes.
SELECT id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "offset", accepted, entry_indexes,
       received_at, software_version, record_version, occurred_at, state, attempts, changed_at,
       octet_length(original) AS size_bytes
FROM dead_letters
WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR scenario_id = $2)
  AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR step = $4) AND ($5::text IS NULL OR state = $5)
  AND ($6::timestamptz IS NULL OR occurred_at >= $6)
ORDER BY occurred_at DESC, id DESC
LIMIT $7;

-- name: tenants_of_letters
-- Whose letters a redrive under these conditions (null: any) would send on, and which of the ids $6 are theirs.
SELECT tenant_id, CASE WHEN $6::uuid[] IS NOT NULL THEN array_agg(id ORDER BY id) END AS ids FROM dead_letters
WHERE tenant_id IS NOT NULL AND state <> 'redriven'
  AND ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR scenario_id = $2)
  AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR step = $4)
  AND ($5::timestamptz IS NULL OR occurred_at >= $5) AND ($6::uuid[] IS NULL OR id = ANY ($6))
GROUP BY tenant_id;

-- name: find_letter
-- One letter with its original bytes.
SELECT * FROM dead_letters WHERE id = $1;

-- name: next_letters
-- Letters to redrive after a position ($8, $9), the oldest first; none that failed after $7, so that one that fails again
-- while the redrive runs isn't taken twice. $6: only these ids (null: all).
SELECT id, occurred_at, reason, cardinality(entry_indexes) AS lines, octet_length(original) AS size_bytes
FROM dead_letters
WHERE state <> 'redriven'
  AND ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR scenario_id = $2)
  AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR step = $4)
  AND ($5::timestamptz IS NULL OR occurred_at >= $5) AND ($6::uuid[] IS NULL OR id = ANY ($6))
  AND occurred_at <= $7 AND (occurred_at, id) > ($8, $9::uuid)
ORDER BY occurred_at, id
LIMIT $10;

-- name: begin_redrive
-- Marks letters as on their way; answers them with the state they had, so that each is taken out of its receipt once.
WITH wanted AS (
    SELECT id, state AS was FROM dead_letters WHERE id = ANY ($1::uuid[]) AND state <> 'redriven' ORDER BY id FOR UPDATE
)
UPDATE dead_letters AS d SET state = 'redriving', changed_at = now()
FROM wanted WHERE d.id = wanted.id
RETURNING d.id, d.request_id, d.reason, d.step, d.topic, d.partition, d.record_version, d.original, d.entry_indexes,
          d.attempts, wanted.was;

-- name: uncount_lines
-- Takes lines out of the dead-lettered ones of their receipts: requests $1, lines $2, a request once.
UPDATE ingest_receipts AS r SET dead_lettered = r.dead_lettered - taken.lines
FROM unnest($1::uuid[], $2::integer[]) AS taken (request_id, lines) WHERE r.request_id = taken.request_id;

-- name: end_redrive
-- The brokers have these letters ($1, in their attempt $2). One that has failed again by now stays dead.
UPDATE dead_letters AS d SET state = 'redriven', changed_at = now()
FROM unnest($1::uuid[], $2::integer[]) AS sent (id, attempts)
WHERE d.id = sent.id AND d.state = 'redriving' AND d.attempts = sent.attempts;
