-- History that was restated: one audit entry each time, and what every changed row cost before.

CREATE TABLE repricings (
    id            UUID NOT NULL PRIMARY KEY,
    org_id        UUID NOT NULL,
    made_at       BIGINT NOT NULL,
    author        TEXT NOT NULL,
    from_at       BIGINT NOT NULL,
    until_at      BIGINT NOT NULL,
    price_version TEXT NOT NULL,
    row_count     BIGINT NOT NULL,
    cost_before   TEXT NOT NULL,
    cost_after    TEXT NOT NULL
);

CREATE INDEX repricings_by_time ON repricings (org_id, made_at, id);

CREATE TABLE former_costs (
    org_id       UUID NOT NULL,
    id           UUID NOT NULL,
    repricing_id UUID NOT NULL,
    cost_state   TEXT NOT NULL,
    cost_nano    BIGINT,
    cost_rest    BIGINT,
    cost_outsize TEXT,
    cost         TEXT,
    PRIMARY KEY (org_id, id, repricing_id)
);
