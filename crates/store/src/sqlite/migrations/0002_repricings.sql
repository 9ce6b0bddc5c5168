-- History that was restated: one audit entry each time, and what every changed row cost before.

CREATE TABLE repricings (
    id            BLOB NOT NULL PRIMARY KEY,
    org_id        BLOB NOT NULL,
    made_at       INTEGER NOT NULL,
    author        TEXT NOT NULL,
    from_at       INTEGER NOT NULL,
    until_at      INTEGER NOT NULL,
    price_version TEXT NOT NULL,
    row_count     INTEGER NOT NULL,
    cost_before   TEXT NOT NULL,
    cost_after    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX repricings_by_time ON repricings (org_id, made_at, id);

CREATE TABLE former_costs (
    org_id       BLOB NOT NULL,
    id           BLOB NOT NULL,
    repricing_id BLOB NOT NULL,
    cost_state   TEXT NOT NULL,
    cost_nano    INTEGER,
    cost_rest    INTEGER,
    cost_outsize TEXT,
    cost         TEXT,
    PRIMARY KEY (org_id, id, repricing_id)
) STRICT;
