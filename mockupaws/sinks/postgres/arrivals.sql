-- name: open_sources
-- Begins to watch topics $3, partitions $4 for sink $1, which reads answers from the topic named $2. A partition nothing was
-- stored of, or that was watched under an older topic id, is watched from its very first record; else from the first
-- that was seen ($5): what came before was stored by a release that told no topic ids.
INSERT INTO source_offsets (topic_id, partition, first_offset)
SELECT new.topic_id, new.partition,
       CASE WHEN EXISTS (SELECT FROM source_offsets AS older WHERE older.partition = new.partition)
                 OR NOT EXISTS (SELECT FROM consumer_offsets AS c
                                WHERE c.sink = $1 AND c.topic = $2 AND c.partition = new.partition AND c.next_offset > 0)
            THEN 0 ELSE new.first_seen END
FROM unnest($3::uuid[], $4::integer[], $5::bigint[]) AS new (topic_id, partition, first_seen)
ORDER BY new.topic_id, new.partition
ON CONFLICT DO NOTHING;

-- name: add_arrivals
-- Offsets $3 (a multirange as text) of topics $1, partitions $2 have arrived. Sorted, so that sinks lock in one order.
INSERT INTO source_offsets AS s (topic_id, partition, first_offset, arrived)
SELECT new.topic_id, new.partition, 0, new.arrived::int8multirange
FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS new (topic_id, partition, arrived)
ON CONFLICT (topic_id, partition) DO UPDATE SET arrived = s.arrived + EXCLUDED.arrived;
