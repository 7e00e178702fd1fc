-- The manifest is read by when its rows were written (what is looked for orphans), and by name; nothing reads it by scenario.
-- Rows come in order of time, so the smallest of indexes tells where an hour's are.
CREATE INDEX archive_objects_by_age ON archive_objects USING brin (created_at);
DROP INDEX archive_objects_of_scenario;
