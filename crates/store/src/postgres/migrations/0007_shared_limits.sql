-- Limits that several gateways share: the state of a bucket or an account as JSON text. What is lost in a crash of the
-- server is told again by its gateways, so the table is not in the WAL.

CREATE UNLOGGED TABLE shared_limits (
    key        TEXT   NOT NULL PRIMARY KEY,
    state      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX shared_limits_by_end ON shared_limits (expires_at);
