-- Sums and sketches of rows by minute, hour and day, as blocks of cells; written with the rows.

CREATE TABLE rollups (
    org_id BLOB    NOT NULL,
    cube   INTEGER NOT NULL,
    level  INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    merged INTEGER NOT NULL,
    data   BLOB    NOT NULL
) STRICT;

CREATE INDEX rollups_by_time ON rollups (org_id, cube, level, at);
CREATE INDEX rollups_open ON rollups (level, at) WHERE NOT merged;

-- Kind 0: an hour that is asked of rows until its rollups are made anew. Kind 1: the moment from which on facts are kept.
CREATE TABLE rollup_state (
    org_id BLOB    NOT NULL,
    kind   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    times  INTEGER NOT NULL,
    PRIMARY KEY (org_id, kind, at)
) STRICT, WITHOUT ROWID;

-- Rows that are there already have no rollups yet.
INSERT INTO rollup_state (org_id, kind, at, times)
SELECT org_id, 0, received_at - (((received_at % 3600000000) + 3600000000) % 3600000000), 1
FROM requests GROUP BY 1, 3;
