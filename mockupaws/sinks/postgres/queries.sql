-- name: load_bounds
-- What the partitions of logs and rollups cover now.
SELECT parent_table, lower_bound, upper_bound FROM partition_bounds;

-- name: apply_requests
-- Remembers requests $2, sorted, with body hashes $3 as applied by sink $1; its tag tells how many are new to it.
INSERT INTO applied_requests (sink, request_id, body_hash)
SELECT $1, new.request_id, new.body_hash FROM unnest($2::uuid[], $3::bytea[]) AS new (request_id, body_hash)
ON CONFLICT DO NOTHING;

-- name: load_applied
-- The body hashes under which sink $1 applied the requests $2, and whether this transaction did.
SELECT request_id, body_hash, xmin = pg_current_xact_id()::xid AS is_new
FROM applied_requests WHERE sink = $1 AND request_id = ANY ($2::uuid[]);

-- name: count_rows
-- How many of the rows $3 of scenario $1, received at $2, are stored.
SELECT count(*) FROM scenario_logs WHERE scenario_id = $1 AND received_at = $2 AND id = ANY ($3::uuid[]);

-- name: add_rollups
-- Adds to the rollups, one list a column; a key stands once in the lists, sorted, so that sinks lock in one order. Their
-- hours are told that they have changed, so that no summary made before is taken for theirs.
WITH touched AS (
    INSERT INTO scenario_hours AS h (tenant_id, scenario_id, hour, changes)
    SELECT DISTINCT tenant_id, scenario_id, date_trunc('hour', minute, 'UTC'), 1
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS added (tenant_id, scenario_id, minute)
    ORDER BY 2, 3
    ON CONFLICT (scenario_id, hour) DO UPDATE SET changes = h.changes + 1
)
INSERT INTO scenario_metrics AS m (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit, extra_data)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::jsonb[])
ON CONFLICT (scenario_id, "timestamp", metric_type, metric_name) DO UPDATE SET
    value = m.value + EXCLUDED.value,
    extra_data = add_counts(m.extra_data, EXCLUDED.extra_data);

-- name: add_facets
-- How the lines stored now are spread, one list a column: tenant, scenario, hour, source, level, findings, lines.
INSERT INTO scenario_facets (tenant_id, scenario_id, hour, source, level, pii_types, entries)
SELECT tenant_id, scenario_id, hour, source, level, string_to_array(pii_types, ','), entries
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::bigint[])
     AS added (tenant_id, scenario_id, hour, source, level, pii_types, entries);

-- name: add_receipts
-- Adds to the receipts, one list a column: tenant, request, scenario, accepted, stored, dead-lettered, reused, received
-- (epoch µs: a microsecond times a whole number below 2^53 is exact).
-- Lines and dead letters of a request both know how many entries were accepted; whichever comes first writes the row.
-- Answers the requests that now count more than was accepted: some of their lines are stored and in a letter.
WITH added AS (
INSERT INTO ingest_receipts AS r (tenant_id, request_id, scenario_id, accepted, stored, dead_lettered, reused, received_at)
SELECT tenant_id, request_id, scenario_id, accepted, stored, dead_lettered, reused,
       timestamptz 'epoch' + received_at_us * interval '1 microsecond'
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::bigint[])
     AS added (tenant_id, request_id, scenario_id, accepted, stored, dead_lettered, reused, received_at_us)
ON CONFLICT (request_id) DO UPDATE SET
    accepted = greatest(r.accepted, EXCLUDED.accepted),
    stored = r.stored + EXCLUDED.stored,
    dead_lettered = r.dead_lettered + EXCLUDED.dead_lettered,
    reused = r.reused + EXCLUDED.reused
RETURNING r.request_id, r.stored + r.dead_lettered - r.accepted AS excess
)
SELECT request_id, excess FROM added WHERE excess > 0;

-- name: insert_dead_letter
-- One dead letter; answers its id where it counts: it is new, or it was redriven and failed again. A repeat of the same
-- failure changes nothing, and a letter whose lines are stored by now ($18 is applied) is born redriven.
WITH written AS (
INSERT INTO dead_letters AS d (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "offset",
                               accepted, entry_indexes, received_at, original, software_version, occurred_at,
                               record_version, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
        CASE WHEN EXISTS (SELECT FROM applied_requests WHERE sink = 'postgres' AND request_id = $18::uuid)
             THEN 'redriven' ELSE 'dead' END)
ON CONFLICT (id) DO UPDATE SET
    state = 'dead', attempts = d.attempts + 1, changed_at = now(), detail = EXCLUDED.detail, topic = EXCLUDED.topic,
    partition = EXCLUDED.partition, "offset" = EXCLUDED."offset", original = EXCLUDED.original,
    software_version = EXCLUDED.software_version, occurred_at = EXCLUDED.occurred_at,
    record_version = EXCLUDED.record_version
WHERE d.state <> 'dead' AND EXCLUDED.state = 'dead'
RETURNING d.id, d.state
)
SELECT id FROM written WHERE state = 'dead';

-- name: lock_dead_letters
-- The letters of request $1 that count, the oldest first.
SELECT id, entry_indexes FROM dead_letters
WHERE request_id = $1 AND state = 'dead' AND reason <> 'idempotency_key_reused'
ORDER BY occurred_at, id
FOR UPDATE;

-- name: supersede_dead_letters
-- The letters $2 of request $1, with $3 lines between them, count no longer: their lines went on.
WITH letters AS (UPDATE dead_letters SET state = 'redriven', changed_at = now() WHERE id = ANY ($2::uuid[]))
UPDATE ingest_receipts SET dead_lettered = dead_lettered - $3 WHERE request_id = $1;
