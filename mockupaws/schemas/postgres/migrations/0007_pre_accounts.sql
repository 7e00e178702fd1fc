-- Accounts: sign-ins that last, end and are revoked everywhere; keys that are rotated; repeated failures that wait.

ALTER TABLE users
    ADD COLUMN updated_at    timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_login_at timestamptz;
CREATE INDEX users_of_tenant ON users (tenant_id, created_at, id);

ALTER TABLE api_keys
    ADD COLUMN created_by   text NOT NULL DEFAULT 'installation',
    ADD COLUMN replaced_by  uuid,
    ADD COLUMN last_used_at timestamptz;
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, created_at, id);

-- A sign-in: the family of all refresh tokens that follow from it. Deleted when it ends.
CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES tenants,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    refreshed_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Each is used once; a used one that comes again shows that two parties hold it, and ends the session.
CREATE TABLE refresh_tokens (
    secret_hmac bytea PRIMARY KEY,
    tenant_id   uuid NOT NULL,
    session_id  uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    used_at     timestamptz
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

-- Access tokens that are refused before they expire, by their own id, their session's or their user's.
CREATE TABLE token_revocations (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX token_revocations_by_time ON token_revocations (revoked_at);

-- Failures in a row, by account and by address, both as an HMAC: no list of who tried stands here.
CREATE TABLE sign_in_failures (
    subject      bytea PRIMARY KEY,
    failures     integer NOT NULL,
    locked_until timestamptz NOT NULL,
    failed_at    timestamptz NOT NULL
);
CREATE INDEX sign_in_failures_by_time ON sign_in_failures (failed_at);
ALTER TABLE sign_in_failures ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_in_failures FORCE ROW LEVEL SECURITY;

DO $$
DECLARE tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['sessions', 'refresh_tokens', 'token_revocations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', tenant_table);
    END LOOP;
END $$;

-- Before a tenant is known, only these answer. They run as the owner, which bypasses row-level security.
CREATE FUNCTION find_refresh_token(wanted bytea) RETURNS TABLE (session_id uuid, tenant_id uuid, user_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT s.id, s.tenant_id, s.user_id
        FROM refresh_tokens AS r JOIN sessions AS s ON s.id = r.session_id WHERE r.secret_hmac = wanted;
    END;

CREATE FUNCTION revocations_since(since timestamptz) RETURNS TABLE (id uuid, revoked_at timestamptz, expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        SELECT t.id, t.revoked_at, t.expires_at FROM token_revocations AS t
        WHERE t.revoked_at >= since AND t.expires_at > now();
    END;

-- Counts an attempt as failed before it is checked, so that many at once can't all slip through; `forgive_sign_in`
-- takes it back. Answers the seconds to wait: 0 lets the attempt go on, more refuses it uncounted. After
-- `free_failures` in a row the waits double from 1 s to `longest_seconds`; an hour of quiet forgets them.
CREATE FUNCTION begin_sign_in(wanted bytea, free_failures integer, longest_seconds integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    held sign_in_failures;
    moment timestamptz;
BEGIN
    INSERT INTO sign_in_failures AS f VALUES (wanted, 0, clock_timestamp(), clock_timestamp())
    ON CONFLICT (subject) DO UPDATE SET failures = f.failures -- locks the row
    RETURNING * INTO held;
    moment := clock_timestamp();
    IF held.locked_until > moment THEN
        RETURN greatest(1, ceil(extract(epoch FROM held.locked_until - moment)));
    END IF;
    IF held.failed_at < moment - interval '1 hour' THEN
        held.failures := 0;
    END IF;
    held.failures := held.failures + 1;
    UPDATE sign_in_failures
    SET failures = held.failures, failed_at = moment,
        locked_until = CASE WHEN held.failures < free_failures THEN moment
                            ELSE moment + make_interval(secs => least(longest_seconds,
                                                        2 ^ least(held.failures - free_failures, 30))) END
    WHERE subject = wanted;
    RETURN 0;
END $$;

-- The attempt succeeded: an account's failures are forgotten, an address keeps those of others.
CREATE FUNCTION forgive_sign_in(account bytea, address bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        DELETE FROM sign_in_failures WHERE subject = account;
        UPDATE sign_in_failures SET failures = greatest(0, failures - 1), locked_until = clock_timestamp()
        WHERE subject = address;
    END;

-- When keys were last used, by prefix, of every tenant; not a change that the gateway has to read again.
CREATE FUNCTION note_key_uses(prefixes text[], moments timestamptz[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
    BEGIN ATOMIC
        UPDATE api_keys AS k SET last_used_at = greatest(k.last_used_at, u.used_at)
        FROM unnest(prefixes, moments) AS u (prefix, used_at) WHERE k.prefix = u.prefix;
    END;

REVOKE ALL ON FUNCTION find_refresh_token, revocations_since, begin_sign_in, forgive_sign_in, note_key_uses FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_refresh_token, revocations_since, begin_sign_in, forgive_sign_in, note_key_uses
    TO mockupaws_api;
GRANT INSERT, UPDATE, DELETE ON users TO mockupaws_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO mockupaws_api;
GRANT SELECT, INSERT, UPDATE ON refresh_tokens TO mockupaws_api;
GRANT SELECT, INSERT ON token_revocations TO mockupaws_api;
