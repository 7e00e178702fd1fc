-- name: load_stored
-- Up to where sink $1 has stored each partition of the topics $2. To be read before `load_sources`.
SELECT topic_id, partition, next_offset FROM consumer_offsets WHERE sink = $1 AND topic_id = ANY ($2::uuid[]);

-- name: load_sources
-- What has arrived of the partitions of topic $1, and what was given up. A late arrival ends its being lost.
SELECT partition, first_offset, arrived::text AS arrived, (lost - arrived)::text AS lost
FROM source_offsets WHERE topic_id = $1;

-- name: lock_detector
-- Whether this transaction is the one that may heal: one at a time, of all sinks.
SELECT pg_try_advisory_xact_lock(7811326);

-- name: settle_losses
-- Topic $1, partition $2: the offsets $3 needn't be waited for any more, $4 of them were published anew, $5 are lost.
INSERT INTO source_offsets AS s (topic_id, partition, first_offset, arrived, healed, lost)
VALUES ($1, $2, 0, ($3::text)::int8multirange, $4, ($5::text)::int8multirange)
ON CONFLICT (topic_id, partition) DO UPDATE
SET arrived = s.arrived + EXCLUDED.arrived, healed = s.healed + EXCLUDED.healed, lost = s.lost + EXCLUDED.lost;
