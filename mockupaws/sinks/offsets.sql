-- name: load_offsets
-- Next offsets of sink $1 in the topics $2 and partitions $3 (two lists of one length); rows that don't exist are missing.
SELECT o.topic_id, o.partition, o.next_offset
FROM consumer_offsets AS o
JOIN unnest($2::uuid[], $3::integer[]) AS wanted (topic_id, partition) USING (topic_id, partition)
WHERE o.sink = $1;

-- name: insert_offset
-- First sight of a partition: sink $1 begins topic $2 (named $3), partition $4 at offset $5, unless another was faster.
INSERT INTO consumer_offsets (sink, topic_id, topic, partition, next_offset) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING;

-- name: move_offsets
-- Compare-and-set of sink $1: topics $2, partitions $3 move from $4 to $5. Fewer rows back than given: another sink
-- wrote these partitions, or the database went back in time.
UPDATE consumer_offsets AS o SET next_offset = moved.next_offset, updated_at = now()
FROM unnest($2::uuid[], $3::integer[], $4::bigint[], $5::bigint[]) AS moved (topic_id, partition, expected, next_offset)
WHERE o.sink = $1 AND o.topic_id = moved.topic_id AND o.partition = moved.partition AND o.next_offset = moved.expected
RETURNING o.topic_id;

-- name: limit_transaction
-- For the rest of the transaction: how long it may wait for a lock, stand idle, and take for a statement.
SELECT set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true),
       set_config('statement_timeout', $3, true);
