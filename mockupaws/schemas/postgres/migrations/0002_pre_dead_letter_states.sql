-- Dead letters can be sent on again: each has a state and counts its failures, and says which version its record had.
-- dead: waits for somebody. redriving: its lines are on their way back, no longer counted as dead-lettered.
-- redriven: the brokers have them, or the lines are stored. A line that fails again turns its letter dead again.
ALTER TABLE dead_letters
    ADD COLUMN state text NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'redriving', 'redriven')),
    ADD COLUMN attempts integer NOT NULL DEFAULT 1,
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN record_version text;
CREATE INDEX dead_letters_of_request ON dead_letters (request_id) WHERE state <> 'redriven';
CREATE INDEX dead_letters_by_time ON dead_letters (occurred_at, id);

GRANT UPDATE ON dead_letters TO mockupaws_sink;

-- The original bytes hold what was never redacted: no tenant-facing role reads them.
REVOKE SELECT ON dead_letters FROM mockupaws_api;
GRANT SELECT (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "offset", accepted,
              entry_indexes, received_at, software_version, record_version, occurred_at, state, attempts, changed_at)
    ON dead_letters TO mockupaws_api;
