-- name: load_bounds
-- What the partitions of logs and rollups cover now.
SELECT parent_table, lower_bound, upper_bound FROM partition_bounds;

-- name: apply_requests
-- Remembers requests $2 with body hashes $3 as applied by sink $1; answers those that are new to it.
INSERT INTO applied_requests (sink, request_id, body_hash)
SELECT $1, new.request_id, new.body_hash FROM unnest($2::uuid[], $3::bytea[]) AS new (request_id, body_hash)
ORDER BY new.request_id
ON CONFLICT DO NOTHING
RETURNING request_id;

-- name: load_applied
-- The body hashes under which sink $1 applied the requests $2.
SELECT request_id, body_hash FROM applied_requests WHERE sink = $1 AND request_id = ANY ($2::uuid[]);

-- name: add_rollups
-- Adds to the rollups, one list a column; a key stands once in the lists, sorted, so that sinks lock in one order.
INSERT INTO scenario_metrics AS m (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[], $7::text[])
ON CONFLICT (scenario_id, "timestamp", metric_type, metric_name) DO UPDATE SET value = m.value + EXCLUDED.value;

-- name: add_receipts
-- Adds to the receipts, one list a column: tenant, request, scenario, accepted, stored, dead-lettered, reused, received.
-- Lines and dead letters of a request both know how many entries were accepted; whichever comes first writes the row.
INSERT INTO ingest_receipts AS r (tenant_id, request_id, scenario_id, accepted, stored, dead_lettered, reused, received_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
                     $8::timestamptz[])
ON CONFLICT (request_id) DO UPDATE SET
    accepted = greatest(r.accepted, EXCLUDED.accepted),
    stored = r.stored + EXCLUDED.stored,
    dead_lettered = r.dead_lettered + EXCLUDED.dead_lettered,
    reused = r.reused + EXCLUDED.reused;

-- name: insert_dead_letter
-- One dead letter; answers its id where it is new. A repeat of the same failure changes nothing.
INSERT INTO dead_letters (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "offset", accepted,
                          entry_indexes, received_at, original, software_version, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT DO NOTHING
RETURNING id;
