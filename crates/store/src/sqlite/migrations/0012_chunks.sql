-- Parts of requests' bodies, by day and content, so that a conversation's history is kept once.

CREATE TABLE chunks (
    org_id  BLOB    NOT NULL,
    hash    BLOB    NOT NULL,
    day     INTEGER NOT NULL,
    codec   TEXT    NOT NULL,
    raw_len INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (day, org_id, hash)
) STRICT;

-- Organisation and id in every entry cost 32 bytes and tell little. Rows of one moment are put in order when they are asked for.
DROP INDEX requests_by_session;
DROP INDEX requests_by_user;
DROP INDEX requests_by_trace;
DROP INDEX requests_by_time;
CREATE INDEX requests_by_session ON requests (session_id, received_at) WHERE session_id IS NOT NULL;
CREATE INDEX requests_by_user ON requests (user_id, received_at) WHERE user_id IS NOT NULL;
CREATE INDEX requests_by_trace ON requests (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX requests_by_time ON requests (org_id, received_at);
