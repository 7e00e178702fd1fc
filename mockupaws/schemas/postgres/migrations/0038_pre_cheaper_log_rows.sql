-- What Postgres does for each line beside storing it.

-- Characters of a preview are counted only where its bytes leave it open: length() looks at each byte of each line.
ALTER TABLE scenario_logs ADD CONSTRAINT scenario_logs_preview_is_short
    CHECK (octet_length(message_preview) <= 500 OR length(message_preview) <= 500) NOT VALID;
ALTER TABLE scenario_logs DROP CONSTRAINT scenario_logs_message_preview_check;

-- No plan hangs on how texts, hashes, ids and sizes are distributed; to find that out took most of an ANALYZE, of which there
-- is one for each tenth more lines. Of the others it takes 9,000 rows instead of 30,000.
ALTER TABLE scenario_logs
    ALTER id SET STATISTICS 0, ALTER "timestamp" SET STATISTICS 0, ALTER message_hash SET STATISTICS 0,
    ALTER message_preview SET STATISTICS 0, ALTER attributes SET STATISTICS 0, ALTER size_bytes SET STATISTICS 0,
    ALTER token_count SET STATISTICS 0, ALTER sqs_blocks SET STATISTICS 0, ALTER policy_version SET STATISTICS 0,
    ALTER tenant_id SET STATISTICS 30, ALTER scenario_id SET STATISTICS 30, ALTER received_at SET STATISTICS 30,
    ALTER source SET STATISTICS 30, ALTER level SET STATISTICS 30, ALTER has_pii SET STATISTICS 30,
    ALTER pii_types SET STATISTICS 30;

-- As before, and what is to be known of each column is the parent's, which LIKE leaves out.
CREATE OR REPLACE FUNCTION attach_partition(parent text, partition text, lower_bound timestamp, upper_bound timestamp, options text)
    RETURNS boolean LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE targets text;
BEGIN
    IF to_regclass(format('%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (%s)', partition, parent, options);
    SELECT string_agg(format('ALTER %I SET STATISTICS %s', attname, attstattarget), ', ') INTO targets FROM pg_attribute
    WHERE attrelid = format('%I', parent)::regclass AND attnum > 0 AND attstattarget >= 0;
    IF targets IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %I ', partition) || targets;
    END IF;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', partition);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition,
                   lower_bound AT TIME ZONE 'UTC', upper_bound AT TIME ZONE 'UTC');
    RETURN true;
END $$;

-- New lines are vacuumed while their pages are those of the last checkpoint still: later each page goes to the WAL whole, and
-- is compressed, at 30 times the time. What is vacuumed is frozen at once, and never read for it again.
CREATE OR REPLACE FUNCTION make_log_partition(month date) RETURNS boolean LANGUAGE sql
    RETURN attach_partition('scenario_logs', 'scenario_logs_' || to_char(month, 'YYYY_MM'), date_trunc('month', month::timestamp),
                            date_trunc('month', month::timestamp) + interval '1 month',
                            'fillfactor = 100, autovacuum_vacuum_insert_scale_factor = 0, '
                            'autovacuum_vacuum_insert_threshold = 100000, autovacuum_freeze_min_age = 0');
DO $$
DECLARE growing text;
BEGIN
    FOR growing IN SELECT partition_table FROM partition_bounds WHERE parent_table = 'scenario_logs'
                   UNION ALL VALUES ('applied_requests'), ('ingest_receipts') LOOP
        EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0, '
                       'autovacuum_vacuum_insert_threshold = 100000, autovacuum_freeze_min_age = 0)', growing);
    END LOOP;
END $$;
