-- The first schema: tenants and who may act for them, scenarios, logs, rollups, and what the sinks remember.
-- Roles mockupaws_owner, mockupaws_sink (BYPASSRLS) and mockupaws_api exist before the first migration.
-- Tenant tables force row-level security on app.current_tenant, which only ever stands for one transaction (SET LOCAL).

CREATE FUNCTION current_tenant() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.current_tenant', true), '')::uuid;

CREATE TABLE tenants (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL REFERENCES tenants,
    email         text NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash text NOT NULL,
    role          text NOT NULL CHECK (role IN ('owner', 'analyst', 'producer', 'operator')),
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES tenants,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    prefix      text NOT NULL UNIQUE,
    secret_hmac bytea NOT NULL,
    scopes      text[] NOT NULL CHECK (scopes <@ ARRAY['ingest', 'read', 'manage', 'operate']),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scenarios (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES tenants,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description  text NOT NULL DEFAULT '',
    region       text NOT NULL,
    architecture jsonb NOT NULL,
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);
CREATE INDEX scenarios_of_tenant ON scenarios (tenant_id, created_at, id);
CREATE INDEX scenarios_by_change ON scenarios (updated_at);
CREATE INDEX api_keys_by_change ON api_keys (updated_at);

-- One index serves dedupe by id, the page query and its order; see docs/adr.
CREATE TABLE scenario_logs (
    tenant_id       uuid NOT NULL,
    scenario_id     uuid NOT NULL,
    id              uuid NOT NULL,
    received_at     timestamptz NOT NULL,
    "timestamp"     timestamptz,
    message_hash    bytea NOT NULL,
    message_preview text NOT NULL CHECK (length(message_preview) <= 500),
    source          text NOT NULL,
    level           text NOT NULL,
    size_bytes      integer NOT NULL,
    has_pii         boolean NOT NULL,
    pii_types       text[] NOT NULL,
    token_count     integer NOT NULL,
    sqs_blocks      integer NOT NULL,
    attributes      jsonb,
    PRIMARY KEY (scenario_id, received_at, id)
) PARTITION BY RANGE (received_at);

CREATE TABLE scenario_metrics (
    tenant_id   uuid NOT NULL,
    scenario_id uuid NOT NULL,
    "timestamp" timestamptz NOT NULL,
    metric_type text NOT NULL,
    metric_name text NOT NULL,
    value       bigint NOT NULL,
    unit        text NOT NULL,
    extra_data  jsonb,
    PRIMARY KEY (scenario_id, "timestamp", metric_type, metric_name)
) PARTITION BY RANGE ("timestamp");

-- What each sink has applied: a request is written by a sink once, however often Kafka brings it.
CREATE TABLE applied_requests (
    sink       text NOT NULL,
    request_id uuid NOT NULL,
    body_hash  bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, request_id)
);
CREATE INDEX applied_requests_by_age ON applied_requests USING brin (applied_at);

-- Either side may write it first, the lines or the dead letters of a request; each adds its own count.
CREATE TABLE ingest_receipts (
    tenant_id     uuid NOT NULL,
    request_id    uuid PRIMARY KEY,
    scenario_id   uuid NOT NULL,
    accepted      integer NOT NULL,
    stored        integer NOT NULL DEFAULT 0,
    dead_lettered integer NOT NULL DEFAULT 0,
    -- Entries that came under the same id with another body: all in the dead letters, and in none of the counts above.
    reused        integer NOT NULL DEFAULT 0,
    received_at   timestamptz NOT NULL
);

-- Offsets move in the transaction that writes the rows, by compare-and-set: a sink that lost its partition writes nothing.
CREATE TABLE consumer_offsets (
    sink        text NOT NULL,
    topic_id    uuid NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic_id, partition)
) WITH (fillfactor = 50);

CREATE TABLE dead_letters (
    id               uuid PRIMARY KEY,
    tenant_id        uuid,
    scenario_id      uuid,
    request_id       uuid,
    reason           text NOT NULL,
    step             text NOT NULL,
    detail           text NOT NULL,
    topic            text NOT NULL,
    partition        integer NOT NULL,
    "offset"         bigint NOT NULL,
    accepted         integer NOT NULL,
    entry_indexes    integer[] NOT NULL,
    received_at      timestamptz,
    original         bytea NOT NULL,
    software_version text NOT NULL,
    occurred_at      timestamptz NOT NULL
);
CREATE INDEX dead_letters_of_tenant ON dead_letters (tenant_id, occurred_at, id);

-- Only what stands here is archived; an object without its row is invisible and swept.
CREATE TABLE archive_objects (
    tenant_id    uuid NOT NULL,
    scenario_id  uuid NOT NULL,
    object_key   text PRIMARY KEY,
    hour         timestamptz NOT NULL,
    topic_id     uuid NOT NULL,
    partition    integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset  bigint NOT NULL,
    row_count    integer NOT NULL,
    size_bytes   bigint NOT NULL,
    sha256       bytea NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX archive_objects_of_scenario ON archive_objects (scenario_id, hour);

-- Partitions are made empty and then attached: ATTACH lets readers and writers of the parent go on, CREATE ... PARTITION OF
-- stops them. Policies of the parent don't guard a partition that is named directly, so each has row-level security
-- forced and no policy: whoever doesn't bypass it sees nothing there, whatever is granted by mistake.
CREATE FUNCTION attach_partition(parent text, partition text, lower_bound timestamp, upper_bound timestamp, options text)
    RETURNS boolean LANGUAGE plpgsql SET timezone = 'UTC' AS $$
BEGIN
    IF to_regclass(format('%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (%s)', partition, parent, options);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', partition);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition,
                   lower_bound AT TIME ZONE 'UTC', upper_bound AT TIME ZONE 'UTC');
    RETURN true;
END $$;

-- Both answer whether the partition was missing. Rollups of the last minutes are updated again and again: room in each
-- page keeps these updates off the index (HOT), and vacuum has to come often to a small, hot table.
CREATE FUNCTION make_log_partition(month date) RETURNS boolean LANGUAGE sql
    RETURN attach_partition('scenario_logs', 'scenario_logs_' || to_char(month, 'YYYY_MM'), date_trunc('month', month::timestamp),
                            date_trunc('month', month::timestamp) + interval '1 month', 'fillfactor = 100');
CREATE FUNCTION make_metric_partition(day date) RETURNS boolean LANGUAGE sql
    RETURN attach_partition('scenario_metrics', 'scenario_metrics_' || to_char(day, 'YYYY_MM_DD'), day::timestamp,
                            day::timestamp + interval '1 day', 'fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05');

-- What is covered by partitions now: the sinks ask before they write, since one row outside spoils a whole COPY.
CREATE VIEW partition_bounds AS
    SELECT parent.relname::text AS parent_table, child.relname::text AS partition_table,
           substring(pg_get_expr(child.relpartbound, child.oid) FROM $$FROM \('([^']+)'\)$$)::timestamptz AS lower_bound,
           substring(pg_get_expr(child.relpartbound, child.oid) FROM $$TO \('([^']+)'\)$$)::timestamptz AS upper_bound
    FROM pg_inherits
    JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
    JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
    WHERE parent.relname IN ('scenario_logs', 'scenario_metrics') AND child.relkind = 'r';

DO $$
DECLARE tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['users', 'api_keys', 'scenarios', 'scenario_logs', 'scenario_metrics',
                                        'ingest_receipts', 'dead_letters', 'archive_objects'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', tenant_table);
    END LOOP;
END $$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON tenants USING (id = current_tenant()) WITH CHECK (id = current_tenant());

-- Before a tenant is known, only these answer: by the exact prefix or e-mail, or by change for the gateway's directory.
-- They run as the owner, which bypasses row-level security.
CREATE FUNCTION find_api_key(wanted_prefix text)
    RETURNS TABLE (id uuid, tenant_id uuid, secret_hmac bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT k.id, k.tenant_id, k.secret_hmac, k.scopes, k.expires_at, k.revoked_at
        FROM api_keys AS k WHERE k.prefix = wanted_prefix;
    END;

CREATE FUNCTION find_user(wanted_email text)
    RETURNS TABLE (id uuid, tenant_id uuid, password_hash text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT u.id, u.tenant_id, u.password_hash, u.role FROM users AS u WHERE u.email = wanted_email;
    END;

CREATE FUNCTION find_scenario_tenant(wanted_scenario uuid) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT s.tenant_id FROM scenarios AS s WHERE s.id = wanted_scenario AND s.deleted_at IS NULL;
    END;

CREATE FUNCTION changed_api_keys(since timestamptz)
    RETURNS TABLE (id uuid, tenant_id uuid, prefix text, secret_hmac bytea, scopes text[], expires_at timestamptz,
                   revoked_at timestamptz, updated_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT k.id, k.tenant_id, k.prefix, k.secret_hmac, k.scopes, k.expires_at, k.revoked_at, k.updated_at
        FROM api_keys AS k WHERE k.updated_at >= since ORDER BY k.updated_at;
    END;

CREATE FUNCTION changed_scenarios(since timestamptz)
    RETURNS TABLE (id uuid, tenant_id uuid, deleted boolean, updated_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT s.id, s.tenant_id, s.deleted_at IS NOT NULL, s.updated_at
        FROM scenarios AS s WHERE s.updated_at >= since ORDER BY s.updated_at;
    END;

REVOKE ALL ON FUNCTION find_api_key, find_user, find_scenario_tenant, changed_api_keys, changed_scenarios,
    attach_partition, make_log_partition, make_metric_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key, find_user, find_scenario_tenant, changed_api_keys, changed_scenarios
    TO mockupaws_api;

GRANT USAGE ON SCHEMA public TO mockupaws_sink, mockupaws_api;
GRANT INSERT ON scenario_logs TO mockupaws_sink;
GRANT SELECT, INSERT, UPDATE ON scenario_metrics, ingest_receipts, consumer_offsets TO mockupaws_sink;
GRANT SELECT, INSERT ON applied_requests, archive_objects, dead_letters TO mockupaws_sink;
GRANT SELECT ON tenants, users, scenario_logs, scenario_metrics, ingest_receipts, dead_letters, archive_objects,
    consumer_offsets TO mockupaws_api;
GRANT SELECT ON partition_bounds TO mockupaws_sink;
GRANT SELECT, INSERT, UPDATE ON scenarios, api_keys TO mockupaws_api;
