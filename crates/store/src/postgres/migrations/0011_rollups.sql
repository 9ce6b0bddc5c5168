-- Sums and sketches of rows by minute, hour and day, as blocks of cells; written with the rows.

CREATE TABLE rollups (
    org_id UUID     NOT NULL,
    cube   SMALLINT NOT NULL,
    level  SMALLINT NOT NULL,
    at     BIGINT   NOT NULL,
    merged BOOLEAN  NOT NULL,
    data   BYTEA    NOT NULL
);

-- It is packed before it gets here; trying again costs time and gains nothing.
ALTER TABLE rollups ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE INDEX rollups_by_time ON rollups (org_id, cube, level, at);
CREATE INDEX rollups_open ON rollups (level, at) WHERE NOT merged;

-- Kind 0: an hour that is asked of rows until its rollups are made anew. Kind 1: the moment from which on facts are kept.
CREATE TABLE rollup_state (
    org_id UUID     NOT NULL,
    kind   SMALLINT NOT NULL,
    at     BIGINT   NOT NULL,
    times  BIGINT   NOT NULL,
    PRIMARY KEY (org_id, kind, at)
);

-- Rows that are there already have no rollups yet.
INSERT INTO rollup_state (org_id, kind, at, times)
SELECT org_id, 0, received_at - (((received_at % 3600000000) + 3600000000) % 3600000000), 1
FROM requests GROUP BY 1, 3;
