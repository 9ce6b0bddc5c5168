-- What is put beside rows after they were recorded, small documents, and what breakdowns add up.

CREATE TABLE request_marks (
    org_id  BLOB    NOT NULL,
    id      BLOB    NOT NULL,
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    text    TEXT,
    micro   INTEGER,
    made_at INTEGER NOT NULL,
    key_id  BLOB,
    PRIMARY KEY (org_id, id, kind, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX request_marks_by_name ON request_marks (org_id, kind, name);

CREATE TABLE session_marks (
    org_id     BLOB    NOT NULL,
    session_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    text       TEXT,
    micro      INTEGER,
    made_at    INTEGER NOT NULL,
    key_id     BLOB,
    PRIMARY KEY (org_id, session_id, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    org_id  BLOB    NOT NULL,
    kind    TEXT    NOT NULL,
    id      BLOB    NOT NULL,
    made_at INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (org_id, kind, id)
) STRICT, WITHOUT ROWID;

ALTER TABLE requests ADD COLUMN attempt_count INTEGER;
ALTER TABLE requests ADD COLUMN retry_nano INTEGER;
ALTER TABLE requests ADD COLUMN retry_rest INTEGER;
ALTER TABLE requests ADD COLUMN saved_nano INTEGER;
ALTER TABLE requests ADD COLUMN saved_rest INTEGER;
ALTER TABLE requests ADD COLUMN saved_us INTEGER;
ALTER TABLE requests ADD COLUMN input_nano INTEGER;
ALTER TABLE requests ADD COLUMN cache_read_nano INTEGER;
ALTER TABLE requests ADD COLUMN cache_write_nano INTEGER;
ALTER TABLE requests ADD COLUMN output_nano INTEGER;
