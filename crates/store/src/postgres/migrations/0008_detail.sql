-- What only the page of one call shows, packed. The text columns it takes the place of are still read from rows written
-- before; `cost` and `control` are written where they change later, and then go before the detail.

ALTER TABLE requests ADD COLUMN detail BYTEA;

-- It is packed before it gets here; trying again costs time and gains nothing.
ALTER TABLE requests ALTER COLUMN detail SET STORAGE EXTERNAL;

-- A trace's id may be of any length, and an index entry may not: a long one made its whole batch fail.
DROP INDEX requests_by_trace;
CREATE INDEX requests_by_trace ON requests (org_id, left(trace_id, 64)) WHERE trace_id IS NOT NULL;
