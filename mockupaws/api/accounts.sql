-- Users, their sign-ins, and API keys. Unless a block says otherwise they run in a tenant's transaction, under
-- row-level security.

-- name: find_user
-- The user with e-mail $1, of any tenant; before the tenant is known.
SELECT id, tenant_id, password_hash, role FROM find_user($1);

-- name: begin_sign_in
-- Seconds to wait for subject $1; 0: the attempt is counted and may go on. Before the tenant is known.
SELECT begin_sign_in($1, $2, $3);

-- name: forgive_sign_in
-- Takes the counted attempt of account $1 from address $2 back. Before the tenant is known.
SELECT forgive_sign_in($1, $2);

-- name: find_refresh_token
-- Whose refresh token $1 is; before the tenant is known.
SELECT session_id, tenant_id, user_id FROM find_refresh_token($1);

-- name: lock_user
-- A user as it is now; it can't change or go until the transaction ends.
SELECT id, email, password_hash, role FROM users WHERE id = $1 FOR SHARE;

-- name: lock_user_for_change
-- A user as it is now, about to be changed.
SELECT id, email, password_hash, role FROM users WHERE id = $1 FOR UPDATE;

-- name: find_own_password
-- What a user's password is checked against.
SELECT email, password_hash FROM users WHERE id = $1;

-- name: note_login
-- When the user last gave the password.
UPDATE users SET last_login_at = now() WHERE id = $1;

-- name: insert_session
-- A sign-in of user $3 that lasts $4 days.
INSERT INTO sessions (id, tenant_id, user_id, expires_at) VALUES ($1, $2, $3, now() + make_interval(days => $4));

-- name: insert_refresh_token
-- The next refresh token of session $3.
INSERT INTO refresh_tokens (secret_hmac, tenant_id, session_id) VALUES ($1, $2, $3);

-- name: lock_session
-- Whether session $1 still lasts; two refreshes of it come one after the other.
SELECT expires_at > now() AS lasts FROM sessions WHERE id = $1 FOR UPDATE;

-- name: use_refresh_token
-- Marks refresh token $1 as used; no row: it was used before.
UPDATE refresh_tokens SET used_at = now() WHERE secret_hmac = $1 AND used_at IS NULL RETURNING session_id;

-- name: note_refresh
-- When the session was last refreshed.
UPDATE sessions SET refreshed_at = now() WHERE id = $1;

-- name: end_sessions_of_user
-- Ends the sessions of user $1 but for session $2 (null: all).
DELETE FROM sessions WHERE user_id = $1 AND ($2::uuid IS NULL OR id <> $2) RETURNING id;

-- name: end_session
-- Ends session $1.
DELETE FROM sessions WHERE id = $1 RETURNING id;

-- name: revoke_tokens
-- Refuses access tokens by the ids $2 (of tokens, sessions or users) for $3 seconds: the life of those already issued.
INSERT INTO token_revocations (id, tenant_id, expires_at)
SELECT id, $1, clock_timestamp() + make_interval(secs => $3) FROM unnest($2::uuid[]) AS id
ON CONFLICT (id) DO NOTHING;

-- name: insert_user
-- A new user.
INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, $3, $4, $5)
RETURNING id, email, role, created_at, updated_at, last_login_at;

-- name: find_user_by_id
-- One user of the tenant.
SELECT id, email, role, created_at, updated_at, last_login_at FROM users WHERE id = $1;

-- name: list_users
-- A page in order of creation, after a position ($1, $2 null: from the start).
SELECT id, email, role, created_at, updated_at, last_login_at FROM users
WHERE ($1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid))
ORDER BY created_at, id
LIMIT $3;

-- name: lock_owners
-- The tenant's owners; none can be added, removed or demoted beside this transaction.
SELECT id FROM users WHERE role = 'owner' ORDER BY id FOR UPDATE;

-- name: update_user
-- A user's role and password (null: as it is).
UPDATE users SET role = $2, password_hash = coalesce($3, password_hash), updated_at = now() WHERE id = $1
RETURNING id, email, role, created_at, updated_at, last_login_at;

-- name: delete_user
-- Sessions go with it.
DELETE FROM users WHERE id = $1 RETURNING id;

-- name: insert_api_key
-- A new key; its secret is not here.
INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hmac, scopes, expires_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id, name, prefix, scopes, expires_at, revoked_at, created_at, created_by, replaced_by, last_used_at;

-- name: list_api_keys
-- All keys of the tenant, newest first.
SELECT id, name, prefix, scopes, expires_at, revoked_at, created_at, created_by, replaced_by, last_used_at
FROM api_keys ORDER BY created_at DESC, id LIMIT 1000;

-- name: lock_api_key
-- One key, which nobody changes until the transaction ends.
SELECT id, name, prefix, scopes, expires_at, revoked_at, created_at, created_by, replaced_by, last_used_at
FROM api_keys WHERE id = $1 FOR UPDATE;

-- name: replace_api_key
-- Key $1 was rotated: key $2 follows it, and it ends at $3 unless it ends before.
UPDATE api_keys SET replaced_by = $2, expires_at = least(expires_at, $3), updated_at = clock_timestamp() WHERE id = $1;

-- name: revoke_api_key
-- Idempotent: a key revoked before keeps its time.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()), updated_at = clock_timestamp() WHERE id = $1
RETURNING id, prefix;

-- name: list_audit_entries
-- A page before number $7 (null: from the newest), newest first.
SELECT number, at, actor, action, target, outcome, reason, address, request_id, details, hash
FROM audit_log
WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::timestamptz IS NULL OR at < $2)
  AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR action = $4 OR starts_with(action, $4 || '.'))
  AND ($5::text IS NULL OR target = $5) AND ($6::text IS NULL OR outcome = $6)
  AND ($7::bigint IS NULL OR number < $7)
ORDER BY number DESC
LIMIT $8;
