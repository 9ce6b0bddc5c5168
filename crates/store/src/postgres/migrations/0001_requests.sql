-- Times are µs since the epoch, money is nano-dollars and the atto-dollars left over.

CREATE TABLE organisations (
    id         UUID   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

INSERT INTO organisations (id, name, created_at) VALUES ('00000000-0000-0000-0000-000000000000', 'home', 0);

CREATE TABLE keys (
    id         UUID   NOT NULL PRIMARY KEY,
    org_id     UUID   NOT NULL,
    name       TEXT   NOT NULL,
    hash       BYTEA  NOT NULL UNIQUE,
    hint       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE requests (
    org_id             UUID    NOT NULL,
    id                 UUID    NOT NULL,
    received_at        BIGINT  NOT NULL,
    key_id             UUID,
    api                TEXT    NOT NULL,
    method             TEXT    NOT NULL,
    path               TEXT    NOT NULL,
    model              TEXT,
    requested_model    TEXT,
    provider           TEXT,
    stream             BOOLEAN NOT NULL,
    status             INTEGER,
    outcome            TEXT    NOT NULL,
    user_id            TEXT,
    session_id         TEXT,
    session_path       TEXT,
    session_name       TEXT,
    prompt_id          TEXT,
    prompt_version     TEXT,
    upstream_sent_us   BIGINT,
    first_byte_us      BIGINT,
    first_token_us     BIGINT,
    end_us             BIGINT  NOT NULL,
    input_tokens       BIGINT,
    cache_read_tokens  BIGINT,
    cache_write_tokens BIGINT,
    output_tokens      BIGINT,
    reasoning_tokens   BIGINT,
    cost_state         TEXT    NOT NULL,
    cost_nano          BIGINT,
    cost_rest          BIGINT,
    cost_outsize       TEXT,
    provider_cost      TEXT,
    finish_reason      TEXT,
    service_tier       TEXT,
    error_kind         TEXT,
    error_code         TEXT,
    error_message      TEXT,
    trace_id           TEXT,
    parent_span_id     TEXT,
    request_len        BIGINT  NOT NULL,
    request_state      TEXT    NOT NULL,
    response_len       BIGINT  NOT NULL,
    response_state     TEXT    NOT NULL,
    usage              TEXT,
    cost               TEXT,
    attempts           TEXT,
    parameters         TEXT,
    properties         JSONB,
    property_order     TEXT,
    PRIMARY KEY (org_id, id)
);

CREATE INDEX requests_by_time ON requests (org_id, received_at, id);
-- A B-tree refuses values beyond some 2,700 bytes, and a caller may send any: so only their beginning is indexed.
CREATE INDEX requests_by_session ON requests (org_id, left(session_id, 64), received_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX requests_by_user ON requests (org_id, left(user_id, 64), received_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX requests_by_property ON requests USING gin (properties jsonb_path_ops);

CREATE TABLE bodies (
    org_id      UUID   NOT NULL,
    id          UUID   NOT NULL,
    side        TEXT   NOT NULL,
    received_at BIGINT NOT NULL,
    codec       TEXT   NOT NULL,
    raw_len     BIGINT NOT NULL,
    data        BYTEA  NOT NULL,
    PRIMARY KEY (org_id, id, side)
);

-- The bytes are compressed before they get here; trying again costs time and gains nothing.
ALTER TABLE bodies ALTER COLUMN data SET STORAGE EXTERNAL;
