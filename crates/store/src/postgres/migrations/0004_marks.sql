-- What is put beside rows after they were recorded, small documents, and what breakdowns add up.

CREATE TABLE request_marks (
    org_id  UUID    NOT NULL,
    id      UUID    NOT NULL,
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    text    TEXT,
    micro   BIGINT,
    made_at BIGINT  NOT NULL,
    key_id  UUID,
    PRIMARY KEY (org_id, id, kind, name)
);

CREATE INDEX request_marks_by_name ON request_marks (org_id, kind, name);

CREATE TABLE session_marks (
    org_id     UUID    NOT NULL,
    session_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    text       TEXT,
    micro      BIGINT,
    made_at    BIGINT  NOT NULL,
    key_id     UUID,
    PRIMARY KEY (org_id, session_id, kind, name)
);

CREATE TABLE documents (
    org_id  UUID    NOT NULL,
    kind    TEXT    NOT NULL,
    id      UUID    NOT NULL,
    made_at BIGINT  NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (org_id, kind, id)
);

ALTER TABLE requests ADD COLUMN attempt_count BIGINT;
ALTER TABLE requests ADD COLUMN retry_nano BIGINT;
ALTER TABLE requests ADD COLUMN retry_rest BIGINT;
ALTER TABLE requests ADD COLUMN saved_nano BIGINT;
ALTER TABLE requests ADD COLUMN saved_rest BIGINT;
ALTER TABLE requests ADD COLUMN saved_us BIGINT;
ALTER TABLE requests ADD COLUMN input_nano BIGINT;
ALTER TABLE requests ADD COLUMN cache_read_nano BIGINT;
ALTER TABLE requests ADD COLUMN cache_write_nano BIGINT;
ALTER TABLE requests ADD COLUMN output_nano BIGINT;
