-- Summaries keep what each of their parts holds: an hour's its 60 minutes, a day's its 24 hours; null: nothing came then. So
-- figures of a window that begins or ends within an hour, and series by the hour, need no minutes of settled hours.
ALTER TABLE scenario_summaries ADD COLUMN parts bigint[];

-- Sums by their places (from 0), as a list with a place for each of `size`.
CREATE FUNCTION placed(places integer[], sums bigint[], size integer) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT given.total FROM generate_series(0, size - 1) AS place
                 LEFT JOIN unnest(places, sums) AS given (place, total) USING (place) ORDER BY place);

-- Days are folded anew, from their hours; the hours themselves keep none until they change: their minutes may be gone.
UPDATE scenario_days SET folded = -1;
