-- Enough rows, of ten scenarios and many tenants, that the planner chooses as it does for an installation that has run for a
-- while. Scenario $2 of tenant $1 has a tenth of them. Each block takes $1, $2 and the day $3 that has most of them.

-- name: tenants
-- Of which most do nothing now.
INSERT INTO tenants (id, name, tier, limits_changed_at)
SELECT md5('tenant ' || n)::uuid, 'Tenant ' || n, 'free', $3::timestamptz - n * interval '1 hour'
FROM generate_series(1, 3000) AS n WHERE ($1::uuid, $2::uuid) IS NOT NULL;

-- name: scenarios
-- One a tenant.
INSERT INTO scenarios (id, tenant_id, name, region, architecture, created_at, updated_at)
SELECT md5('scenario ' || n)::uuid, md5('tenant ' || n)::uuid, 'Scenario', 'eu-west-1', '{}', moment, moment
FROM generate_series(1, 3000) AS n, LATERAL (SELECT $3::timestamptz - n * interval '1 hour' AS moment) AS made
WHERE ($1::uuid, $2::uuid) IS NOT NULL;

-- name: users
-- Two a tenant, and many of tenant $1.
INSERT INTO users (id, tenant_id, email, password_hash, role, created_at)
SELECT md5('user ' || n)::uuid, CASE WHEN n % 10 = 0 THEN $1 ELSE md5('tenant ' || (n + 1) / 2)::uuid END, 'user-' || n || '@example.com', '-', 'analyst', $3::timestamptz
FROM generate_series(1, 6000) AS n WHERE $2::uuid IS NOT NULL;

-- name: keys
-- Two a tenant.
INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hmac, scopes, created_at, updated_at)
SELECT md5('key ' || n)::uuid, md5('tenant ' || (n + 1) / 2)::uuid, 'key', 'prefix-' || n, '\x00', '{read}', moment, moment
FROM generate_series(1, 6000) AS n, LATERAL (SELECT $3::timestamptz - n * interval '1 hour' AS moment) AS made
WHERE ($1::uuid, $2::uuid) IS NOT NULL;

-- name: sessions
-- One a user.
INSERT INTO sessions (id, tenant_id, user_id, expires_at)
SELECT md5('session ' || n)::uuid, tenant_id, id, now() + n * interval '1 hour' - interval '1 day'
FROM (SELECT *, row_number() OVER () AS n FROM users) AS u WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: refresh_tokens
-- One a session.
INSERT INTO refresh_tokens (secret_hmac, tenant_id, session_id)
SELECT sha256(id::text::bytea), tenant_id, id FROM sessions WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: revocations
-- Of a few weeks.
INSERT INTO token_revocations (id, tenant_id, revoked_at, expires_at)
SELECT md5('revoked ' || n)::uuid, $1, moment, moment + interval '1 hour'
FROM generate_series(1, 6000) AS n, LATERAL (SELECT $3::timestamptz - n * interval '1 minute' AS moment) AS made
WHERE $2::uuid IS NOT NULL;

-- name: sign_in_failures
-- Of a few weeks.
INSERT INTO sign_in_failures (subject, failures, locked_until, failed_at)
SELECT sha256(n::text::bytea), 1, moment, moment
FROM generate_series(1, 6000) AS n, LATERAL (SELECT now() - interval '1 day' + n * interval '1 minute' AS moment) AS failed
WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: policies
-- One a tenant.
INSERT INTO redaction_policies (tenant_id, version, document, created_by, created_at)
SELECT id, 1, '{}', 'user', $3::timestamptz - n * interval '1 hour'
FROM (SELECT id, row_number() OVER () AS n FROM tenants) AS t WHERE ($1::uuid, $2::uuid) IS NOT NULL;

-- name: tenant_keys
-- One a tenant.
INSERT INTO tenant_keys (tenant_id, number, wrapped, created_at)
SELECT id, 1, '\x00', $3::timestamptz - n * interval '1 hour'
FROM (SELECT id, row_number() OVER () AS n FROM tenants) AS t WHERE ($1::uuid, $2::uuid) IS NOT NULL;

-- name: audit_log
-- Most of tenant $1, half of it by one actor.
INSERT INTO audit_log (id, tenant_id, at, actor, action, target, outcome, number, hash)
SELECT md5('entry ' || n)::uuid, CASE WHEN n % 4 = 0 THEN md5('tenant 1')::uuid ELSE $1 END,
       $3::timestamptz + n * interval '10 s', 'user/' || CASE WHEN n % 100 = 1 THEN 'rare' ELSE 'often' END, 'logs.exported',
       $2::uuid::text, 'done', n, sha256(n::text::bytea)
FROM generate_series(1, 20000) AS n;

-- name: scenario_versions
-- A few hundred of a scenario that is changed by a script.
INSERT INTO scenario_versions (tenant_id, scenario_id, version, name, description, architecture, created_at)
SELECT $1, CASE WHEN n % 10 = 0 THEN $2 ELSE md5('scenario ' || n % 10)::uuid END, n + 10, 'Scenario', '', '{}', $3::timestamptz
FROM generate_series(1, 6000) AS n;

-- name: estimates
-- Kept by a script.
INSERT INTO estimates (tenant_id, id, scenario_id, scenario_version, snapshot, created_at, created_by)
SELECT $1, 'est_' || md5(n::text), CASE WHEN n % 10 = 0 THEN $2 ELSE md5('scenario ' || n % 10)::uuid END, 1, '{}',
       $3::timestamptz + n * interval '1 minute', 'user'
FROM generate_series(1, 6000) AS n;

-- name: budgets
-- One for each of 3,000 scenarios of tenant $1.
INSERT INTO budgets (tenant_id, id, scenario_id, name, metric, "limit", thresholds, window_days)
SELECT $1, md5('budget ' || n)::uuid, $2, 'Budget', 'month_usd', 1, '{100}', 7
FROM generate_series(1, 3000) AS n WHERE $3::timestamptz IS NOT NULL;

-- name: budget_alerts
-- Two a budget; few are to be sent.
INSERT INTO budget_alerts (tenant_id, id, budget_id, budget_version, period, threshold, amount, "limit", complete, next_attempt_at,
                           created_at)
SELECT $1, md5('alert ' || n)::uuid, md5('budget ' || (n + 1) / 2)::uuid, 1, $3::timestamptz::date, n, 1, 1, true,
       CASE WHEN n % 200 = 0 THEN $3::timestamptz END, $3::timestamptz
FROM generate_series(1, 6000) AS n WHERE $2::uuid IS NOT NULL;

-- name: lines
-- 30,000 of two days, and some in each partition.
INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source, level, size_bytes,
                           has_pii, pii_types, token_count, sqs_blocks)
SELECT CASE WHEN n % 10 = 0 THEN $1 ELSE md5('tenant ' || n % 10)::uuid END,
       CASE WHEN n % 10 = 0 THEN $2 ELSE md5('scenario ' || n % 10)::uuid END, md5('line ' || n)::uuid, moment, 'x', 'a line',
       CASE n % 3 WHEN 0 THEN 'db' ELSE 'app' END, 'info', 100, n % 40 = 0, '{}', 25, 1
FROM (
    SELECT n, $3::timestamptz + n * interval '5.76 s' AS moment FROM generate_series(1, 30000) AS n
    UNION ALL
    SELECT 100000 + n, lower_bound + n * interval '10 minutes'
    FROM partition_bounds, generate_series(1, 3000) AS n WHERE parent_table = 'scenario_logs'
) AS sent;

-- name: rollups
-- Five metrics of some minutes of each day.
INSERT INTO scenario_metrics (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit, extra_data)
SELECT CASE WHEN n = 0 THEN $1 ELSE md5('tenant ' || n)::uuid END,
       CASE WHEN n = 0 THEN $2 ELSE md5('scenario ' || n)::uuid END, lower_bound + minute * interval '14 minutes', kind, metric,
       10, 'count', '{"1": 10}'
FROM partition_bounds, generate_series(0, 99) AS minute, generate_series(0, 9) AS n,
     (VALUES ('ingest', 'entries'), ('ingest', 'bytes'), ('bedrock', 'tokens'), ('sqs', 'blocks'), ('shadow_rule', 'IPV4'))
         AS metrics (kind, metric)
WHERE parent_table = 'scenario_metrics' AND $3::timestamptz IS NOT NULL;

-- name: hours
-- Three months, but for the last ones all folded.
INSERT INTO scenario_hours (tenant_id, scenario_id, hour, changes, folded)
SELECT CASE WHEN n = 0 THEN $1 ELSE md5('tenant ' || n)::uuid END,
       CASE WHEN n = 0 THEN $2 ELSE md5('scenario ' || n)::uuid END, $3::timestamptz + (h - 2000) * interval '1 hour', 3,
       CASE WHEN h > 2090 THEN 2 ELSE 3 END
FROM generate_series(1, 2100) AS h, generate_series(0, 9) AS n;

-- name: days
-- A year of a hundred scenarios.
INSERT INTO scenario_days (tenant_id, scenario_id, day, folded)
SELECT CASE WHEN n = 0 THEN $1 ELSE md5('tenant ' || n)::uuid END,
       CASE WHEN n = 0 THEN $2 ELSE md5('scenario ' || n)::uuid END, $3::timestamptz - d * interval '24 hours', 72
FROM generate_series(1, 400) AS d, generate_series(0, 99) AS n;

-- name: summaries
-- Of three of the metrics.
INSERT INTO scenario_summaries (tenant_id, scenario_id, span, start, metric_type, metric_name, value, minutes, first_minute,
                                last_minute, counts)
SELECT h.tenant_id, h.scenario_id, spans.span, h.hour, kind, metric, 30, 60, h.hour, h.hour, '{"1": 10}'
FROM scenario_hours AS h, (VALUES ('hour', 1), ('day', 24)) AS spans (span, every),
     (VALUES ('ingest', 'entries'), ('ingest', 'bytes'), ('sqs', 'blocks')) AS metrics (kind, metric)
WHERE extract(epoch FROM h.hour)::bigint / 3600 % spans.every = 0 AND ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: facets
-- Two combinations an hour; those of the last hours are not folded.
INSERT INTO scenario_facets (tenant_id, scenario_id, hour, source, level, pii_types, entries, folded)
SELECT tenant_id, scenario_id, hour, source, 'info', '{}', 10, folded = changes
FROM scenario_hours, (VALUES ('app'), ('db')) AS sources (source) WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: blocks
-- One an hour.
INSERT INTO scenario_text_blocks (tenant_id, scenario_id, since, until, part, entries, first_at, last_at, filter)
SELECT tenant_id, scenario_id, hour, hour + interval '1 hour', 0, 1000, hour, hour, '\x00ff'
FROM scenario_hours WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: text_days
-- All days.
INSERT INTO scenario_text_days (tenant_id, scenario_id, day, changes)
SELECT tenant_id, scenario_id, day, folded FROM scenario_days WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL;

-- name: patterns
-- Twenty an hour of many scenarios, in order of time as they come.
INSERT INTO scenario_patterns (tenant_id, scenario_id, hour, template_id, template, entries, bytes, tokens, sqs_blocks)
SELECT CASE WHEN n = 0 THEN $1 ELSE md5('tenant ' || (h * 20 + n) % 2000)::uuid END,
       CASE WHEN n = 0 THEN $2 ELSE md5('scenario ' || (h * 20 + n) % 2000)::uuid END,
       $3::timestamptz + (h - 2000) * interval '1 hour', decode(md5(n::text), 'hex'), repeat('a template ', 20), 10, 100, 10, 10
FROM generate_series(1, 2100) AS h, generate_series(0, 19) AS n
ORDER BY h;

-- name: applied
-- A week of requests, in order of time as they come.
INSERT INTO applied_requests (sink, request_id, body_hash, applied_at)
SELECT 'postgres', md5('request ' || n)::uuid, sha256(n::text::bytea), $3::timestamptz + n * interval '10 s'
FROM generate_series(1, 60000) AS n WHERE ($1::uuid, $2::uuid) IS NOT NULL;

-- name: receipts
-- Of as many.
INSERT INTO ingest_receipts (tenant_id, request_id, scenario_id, accepted, stored, received_at)
SELECT CASE WHEN n % 10 = 0 THEN $1 ELSE md5('tenant ' || n % 10)::uuid END, md5('request ' || n)::uuid, $2, 10, 10, $3::timestamptz
FROM generate_series(1, 30000) AS n;

-- name: dead_letters
-- Most were redriven.
INSERT INTO dead_letters (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "offset", accepted,
                          entry_indexes, received_at, original, software_version, occurred_at, state)
SELECT md5('letter ' || n)::uuid, CASE WHEN n % 10 = 0 THEN $1 ELSE md5('tenant ' || n % 10)::uuid END, $2,
       md5('request ' || n)::uuid, 'undecodable', 'processor', '', 'ingest.requests', 0, n, 1, '{0}', $3::timestamptz,
       '\x00', '1', $3::timestamptz + n * interval '1 minute', CASE WHEN n % 20 = 0 THEN 'dead' ELSE 'redriven' END
FROM generate_series(1, 20000) AS n;

-- name: archive_objects
-- Two an hour, in order of time as they come.
INSERT INTO archive_objects (tenant_id, scenario_id, object_key, hour, topic_id, partition, first_offset, last_offset, row_count,
                             size_bytes, sha256, first_received_at, last_received_at, created_at)
SELECT tenant_id, scenario_id, scenario_id || '/' || hour || '/' || n, hour, tenant_id, 0, 1, 2, 10, 100, sha256('\x00'), hour, hour,
       hour + interval '5 minutes'
FROM scenario_hours, generate_series(1, 2) AS n WHERE ($1::uuid, $2::uuid, $3::timestamptz) IS NOT NULL
ORDER BY hour;
