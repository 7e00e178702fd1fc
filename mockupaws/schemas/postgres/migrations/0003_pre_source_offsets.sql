-- Which records of ingest.requests have been answered, as the Postgres sink has seen it: an offset that never arrives was
-- lost between the two topics. Written in the transaction that stores the answers' rows, so both go back in time together.
-- Normally one range a partition, however long it grows.
CREATE TABLE source_offsets (
    topic_id     uuid NOT NULL,
    partition    integer NOT NULL,
    -- Where watching began: 0, or the first offset that arrived after an upgrade from a release that told no topic id.
    first_offset bigint NOT NULL,
    arrived      int8multirange NOT NULL DEFAULT '{}',
    -- Offsets that never arrived, and were published anew instead.
    healed       bigint NOT NULL DEFAULT 0,
    -- Offsets that never arrived, and can't be read any more. Stands until an operator has looked: docs/runbooks.
    lost         int8multirange NOT NULL DEFAULT '{}',
    PRIMARY KEY (topic_id, partition)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON source_offsets TO mockupaws_sink;
GRANT SELECT ON source_offsets TO mockupaws_api;
