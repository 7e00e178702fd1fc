-- name: load_applied
-- Those of the requests $2 that sink $1 has applied.
SELECT request_id FROM applied_requests WHERE sink = $1 AND request_id = ANY ($2::uuid[]);

-- name: apply_requests
-- Remembers requests $2, sorted, with body hashes $3 as applied by sink $1. One that stands there already fails the transaction.
INSERT INTO applied_requests (sink, request_id, body_hash)
SELECT $1, new.request_id, new.body_hash FROM unnest($2::uuid[], $3::bytea[]) AS new (request_id, body_hash);

-- name: insert_archive_object
-- From here on readers see the object.
INSERT INTO archive_objects (tenant_id, scenario_id, object_key, hour, topic_id, partition, first_offset, last_offset,
                             row_count, size_bytes, sha256, first_received_at, last_received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);
