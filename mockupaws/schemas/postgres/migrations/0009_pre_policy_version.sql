-- By which version of the tenant's policy a line was redacted. Nullable and without a default, so that neither the table
-- nor a partition is rewritten or scanned; null: stored before this was kept, or by a sink of the release before.
SET LOCAL lock_timeout = '5s';
ALTER TABLE scenario_logs ADD COLUMN policy_version integer;
