-- name: add_patterns
-- Adds to the patterns, one list a column; a key stands once in the lists, sorted.
INSERT INTO scenario_patterns AS p (tenant_id, scenario_id, hour, template_id, template, entries, bytes, tokens, sqs_blocks)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bytea[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[])
ON CONFLICT (scenario_id, hour, template_id) DO UPDATE SET
    entries = p.entries + EXCLUDED.entries,
    bytes = p.bytes + EXCLUDED.bytes,
    tokens = p.tokens + EXCLUDED.tokens,
    sqs_blocks = p.sqs_blocks + EXCLUDED.sqs_blocks;
