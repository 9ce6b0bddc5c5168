-- Times are µs since the epoch, money is nano-dollars and the atto-dollars left over, ids are 16 bytes.

CREATE TABLE organisations (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO organisations (id, name, created_at) VALUES (zeroblob(16), 'home', 0);

CREATE TABLE keys (
    id         BLOB    NOT NULL PRIMARY KEY,
    org_id     BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    hint       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    org_id             BLOB    NOT NULL,
    id                 BLOB    NOT NULL,
    received_at        INTEGER NOT NULL,
    key_id             BLOB,
    api                TEXT    NOT NULL,
    method             TEXT    NOT NULL,
    path               TEXT    NOT NULL,
    model              TEXT,
    requested_model    TEXT,
    provider           TEXT,
    stream             INTEGER NOT NULL,
    status             INTEGER,
    outcome            TEXT    NOT NULL,
    user_id            TEXT,
    session_id         TEXT,
    session_path       TEXT,
    session_name       TEXT,
    prompt_id          TEXT,
    prompt_version     TEXT,
    upstream_sent_us   INTEGER,
    first_byte_us      INTEGER,
    first_token_us     INTEGER,
    end_us             INTEGER NOT NULL,
    input_tokens       INTEGER,
    cache_read_tokens  INTEGER,
    cache_write_tokens INTEGER,
    output_tokens      INTEGER,
    reasoning_tokens   INTEGER,
    cost_state         TEXT    NOT NULL,
    cost_nano          INTEGER,
    cost_rest          INTEGER,
    cost_outsize       TEXT,
    provider_cost      TEXT,
    finish_reason      TEXT,
    service_tier       TEXT,
    error_kind         TEXT,
    error_code         TEXT,
    error_message      TEXT,
    trace_id           TEXT,
    parent_span_id     TEXT,
    request_len        INTEGER NOT NULL,
    request_state      TEXT    NOT NULL,
    response_len       INTEGER NOT NULL,
    response_state     TEXT    NOT NULL,
    usage              TEXT,
    cost               TEXT,
    attempts           TEXT,
    parameters         TEXT,
    properties         TEXT,
    property_order     TEXT,
    PRIMARY KEY (org_id, id)
) STRICT;

CREATE INDEX requests_by_time ON requests (org_id, received_at, id);
CREATE INDEX requests_by_session ON requests (org_id, session_id, received_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX requests_by_user ON requests (org_id, user_id, received_at, id) WHERE user_id IS NOT NULL;

CREATE TABLE bodies (
    org_id      BLOB    NOT NULL,
    id          BLOB    NOT NULL,
    side        TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    codec       TEXT    NOT NULL,
    raw_len     INTEGER NOT NULL,
    data        BLOB    NOT NULL,
    PRIMARY KEY (org_id, id, side)
) STRICT;
