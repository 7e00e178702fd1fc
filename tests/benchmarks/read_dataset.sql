-- The data set of the reading benchmarks: 50 tenants of very different size, made by the server itself, the same each time.

-- name: make_tenants
-- 50 tenants with one scenario each; $1 is the architecture.
WITH made AS (
    INSERT INTO tenants (id, name, tier) SELECT md5('tenant ' || n)::uuid, 'Benchmark ' || n, 'unlimited' FROM generate_series(1, 50) AS n
)
INSERT INTO scenarios (id, tenant_id, name, region, architecture)
SELECT md5('scenario ' || n)::uuid, md5('tenant ' || n)::uuid, 'Benchmark ' || n, 'us-east-1', $1::jsonb
FROM generate_series(1, 50) AS n;

-- name: make_requests
-- $1 lines between $2 and $3: tenant n sends 1/n of what the first sends, small ones in large requests; days have a rhythm.
CREATE TABLE benchmark_requests AS
WITH shares AS (
    SELECT n, CASE WHEN n = 1 THEN 10 WHEN n <= 5 THEN 20 ELSE 100 END AS lines,
           $1::bigint / n / (SELECT sum(1.0 / k) FROM generate_series(1, 50) AS k) AS total
    FROM generate_series(1, 50) AS n
), sent AS (
    SELECT n, lines, k, ceil(total / lines) AS count, hashint8extended(n * 100000000::bigint + k, 1) AS random
    FROM shares, generate_series(1, ceil(total / lines)::bigint) AS k
), placed AS (
    SELECT n, k, lines, extract(epoch FROM $3::timestamptz - $2::timestamptz)::float8
                        * (k - 1 + (random & 1048575) / 1048576.0) / count AS seconds
    FROM sent
)
SELECT n, n * 10000000::bigint + k AS request, lines,
       $2::timestamptz + make_interval(secs => greatest(seconds - 7000 * (1 - cos(seconds / 13750.987)), 0)) AS received_at
FROM placed;

-- name: order_requests
-- As they arrive.
CREATE INDEX ON benchmark_requests (received_at);

-- name: make_lines
-- The lines received from $1 to before $2, in order of arrival. $3: templates; a word of each ten thousandth line is rare.
INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, "timestamp", message_hash, message_preview, source, level,
                           size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes)
SELECT md5('tenant ' || n)::uuid, md5('scenario ' || n)::uuid,
       (lpad(to_hex((extract(epoch FROM received_at) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(request), 15, '0') || lpad(to_hex(i), 4, '0'))::uuid,
       received_at, received_at - make_interval(secs => 0.2), sha256(convert_to(message, 'UTF8')), message,
       (ARRAY['checkout', 'payment', 'auth', 'nginx', 'worker', 'billing', 'search', 'mail'])[1 + (random >> 9 & 7) * (random >> 12 & 7) / 7],
       CASE WHEN random & 127 < 96 THEN 'info' WHEN random & 127 < 116 THEN 'debug' WHEN random & 127 < 124 THEN 'warn' ELSE 'error' END,
       length(message), kind > 0, CASE kind WHEN 0 THEN '{}' WHEN 1 THEN '{EMAIL}' WHEN 2 THEN '{IPV4}' WHEN 3 THEN '{EMAIL,IPV4}' ELSE '{CREDIT_CARD}' END::text[],
       length(message) / 4, 1,
       CASE WHEN random >> 20 & 3 = 0 THEN jsonb_build_object('region', 'eu-' || (random >> 22 & 3), 'status', (ARRAY[200, 200, 201, 404, 500])[1 + (random >> 24 & 1023) % 5]) END
FROM (
    SELECT n, request, i, received_at, random,
           CASE WHEN random >> 15 & 15 > 4 THEN 0 ELSE (random >> 15 & 15) END AS kind,
           format(template, random >> 30 & 67108863, to_hex(random & 4294967295), random >> 40 & 255,
                  CASE WHEN (random >> 3 & 1048575) % 10000 = 0 THEN 'quarantine' ELSE 'ok' END) AS message
    FROM (SELECT *, ($3::text[])[1 + (random >> 5 & 31) * (random >> 26 & 31) / 96 % array_length($3::text[], 1)] AS template
          FROM (SELECT r.*, i, hashint8extended(request * 1000 + i, 2) AS random
                FROM benchmark_requests AS r, generate_series(0, r.lines - 1) AS i
                WHERE received_at >= $1 AND received_at < $2 ORDER BY received_at, request) AS numbered) AS chosen
) AS written;

-- name: make_rollups
-- Those of the minutes from $1 to before $2, as the sink would have added them.
INSERT INTO scenario_metrics (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit, extra_data)
WITH lines AS (
    SELECT tenant_id, scenario_id, date_trunc('minute', received_at, 'UTC') AS minute, received_at, size_bytes, token_count,
           has_pii, pii_types, extract(second FROM received_at)::integer % 60 AS second
    FROM scenario_logs WHERE received_at >= $1 AND received_at < $2
), requests AS (
    SELECT tenant_id, scenario_id, minute, received_at, count(*) AS lines FROM lines GROUP BY 1, 2, 3, 4
), counted AS (
    SELECT tenant_id, scenario_id, minute, 'ingest' AS kind, 'requests' AS name, count(*) AS value, NULL::jsonb AS counts
    FROM requests GROUP BY 1, 2, 3
    UNION ALL
    SELECT tenant_id, scenario_id, minute, 'sqs', 'blocks', sum(lines),
           (SELECT jsonb_object_agg(size, (SELECT sum(ceil(each / size::float8)) FROM unnest(array_agg(lines)) AS each))
            FROM generate_series(2, 10) AS size)
    FROM requests GROUP BY 1, 2, 3
    UNION ALL
    SELECT tenant_id, scenario_id, minute, 'ingest', 'entries', sum(entries), jsonb_object_agg(second, entries)
    FROM (SELECT tenant_id, scenario_id, minute, second, count(*) AS entries FROM lines GROUP BY 1, 2, 3, 4) AS seconds
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT tenant_id, scenario_id, minute, kind, name, sum(value * entries), jsonb_object_agg(bucket, entries)
    FROM (SELECT tenant_id, scenario_id, minute, kind, name, bucket, min(value) AS value, count(*) AS entries
          FROM lines, LATERAL (VALUES ('ingest', 'bytes', size_bytes), ('bedrock', 'tokens', token_count)) AS m (kind, name, value),
               LATERAL (SELECT floor(ln(greatest(value, 32)::float8) / ln(2::float8) + 1e-9)::integer - 4 AS shift) AS s,
               LATERAL (SELECT CASE WHEN value < 32 THEN value ELSE 16 * shift + (value >> shift) END AS bucket) AS b
          GROUP BY 1, 2, 3, 4, 5, 6) AS buckets
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT tenant_id, scenario_id, minute, 'pii', 'entries', count(*), NULL FROM lines WHERE has_pii GROUP BY 1, 2, 3
    UNION ALL
    SELECT tenant_id, scenario_id, minute, 'pii', type, count(*), NULL FROM lines, unnest(pii_types) AS type GROUP BY 1, 2, 3, 5
    UNION ALL
    SELECT tenant_id, scenario_id, minute, 'size', (1 << greatest(ceil(ln(size_bytes::float8) / ln(2::float8) - 1e-9)::integer, 6))::text, count(*), NULL
    FROM lines GROUP BY 1, 2, 3, 5
)
SELECT tenant_id, scenario_id, minute, kind, name, value::bigint,
       CASE kind WHEN 'pii' THEN 'entries' WHEN 'size' THEN 'entries' WHEN 'sqs' THEN 'requests'
                 WHEN 'bedrock' THEN 'tokens' ELSE name END, counts
FROM counted;

-- name: keep_week
-- The lines of the first week, in order of arrival.
CREATE TABLE benchmark_week AS SELECT * FROM scenario_logs ORDER BY received_at, id;

-- name: repeat_lines
-- The first week's lines once more, $1 later.
INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, "timestamp", message_hash, message_preview, source, level,
                           size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes)
SELECT tenant_id, scenario_id,
       (lpad(to_hex((extract(epoch FROM received_at + $1) * 1000)::bigint), 12, '0') || substr(id::text, 15))::uuid,
       received_at + $1::interval, "timestamp" + $1, message_hash, message_preview, source, level,
       size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes
FROM benchmark_week;

-- name: repeat_rollups
-- The first week's rollups once more, $1 later; the week ends before $2.
INSERT INTO scenario_metrics (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit, extra_data)
SELECT tenant_id, scenario_id, "timestamp" + $1::interval, metric_type, metric_name, value, unit, extra_data
FROM scenario_metrics WHERE "timestamp" < $2;

-- name: make_hours
-- Those that have rollups, as the sink would have touched them.
INSERT INTO scenario_hours (tenant_id, scenario_id, hour, changes)
SELECT DISTINCT tenant_id, scenario_id, date_trunc('hour', "timestamp", 'UTC'), 1 FROM scenario_metrics;

-- name: make_facets
-- As folded: those of an hour stand together.
INSERT INTO scenario_facets (tenant_id, scenario_id, hour, source, level, pii_types, entries, folded)
SELECT tenant_id, scenario_id, date_trunc('hour', received_at, 'UTC'), source, level, pii_types, count(*), true
FROM scenario_logs GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 3, 2;

-- name: minutes_are_missing
-- Whether there is an hour whose summary was made before summaries kept their parts.
SELECT EXISTS (SELECT FROM scenario_summaries WHERE span = 'hour' AND parts IS NULL);

-- name: place_minutes
-- Gives them their minutes, all of which are still there.
UPDATE scenario_summaries AS s SET parts = hours.parts
FROM (
    SELECT scenario_id, date_trunc('hour', "timestamp", 'UTC') AS hour, metric_type, metric_name,
           placed(array_agg(extract(minute FROM "timestamp")::integer), array_agg(value), 60) AS parts
    FROM scenario_metrics GROUP BY 1, 2, 3, 4
) AS hours
WHERE s.scenario_id = hours.scenario_id AND s.span = 'hour' AND s.start = hours.hour
  AND s.metric_type = hours.metric_type AND s.metric_name = hours.metric_name;
