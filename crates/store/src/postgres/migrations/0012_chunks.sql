-- Parts of requests' bodies, by day and content, so that a conversation's history is kept once.

CREATE TABLE chunks (
    org_id  UUID   NOT NULL,
    hash    UUID   NOT NULL,
    day     BIGINT NOT NULL,
    codec   TEXT   NOT NULL,
    raw_len BIGINT NOT NULL,
    data    BYTEA  NOT NULL,
    PRIMARY KEY (day, org_id, hash)
);

-- It is packed before it gets here; trying again costs time and gains nothing.
ALTER TABLE chunks ALTER COLUMN data SET STORAGE EXTERNAL;

-- One value in a column of few: the entries of an index that hold the same text share it, so that these take some bytes a
-- row. Rows of one user or session are put into the order of time when they are asked for.
DROP INDEX requests_by_session;
DROP INDEX requests_by_user;
DROP INDEX requests_by_trace;
DROP INDEX requests_by_time;
CREATE INDEX requests_by_session ON requests (left(session_id, 64)) WHERE session_id IS NOT NULL;
CREATE INDEX requests_by_user ON requests (left(user_id, 64)) WHERE user_id IS NOT NULL;
CREATE INDEX requests_by_trace ON requests (left(trace_id, 64)) WHERE trace_id IS NOT NULL;
CREATE INDEX requests_by_time ON requests (org_id, received_at);
