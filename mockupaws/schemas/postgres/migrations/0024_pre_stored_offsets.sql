-- For the gateways, which let in as much as can soon be read: how far topic `wanted` of requests is stored, by partition.
-- The end of what has arrived, not its first gap: one record that was lost on its way is no backlog.
CREATE FUNCTION stored_offsets(wanted uuid)
    RETURNS TABLE (partition integer, next_offset bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    BEGIN ATOMIC
        SELECT s.partition, upper(range_merge(s.arrived)) FROM source_offsets AS s
        WHERE s.topic_id = wanted AND NOT isempty(s.arrived);
    END;

REVOKE ALL ON FUNCTION stored_offsets FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stored_offsets TO mockupaws_api;
