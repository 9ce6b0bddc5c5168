-- How far each gateway's record is complete.

CREATE TABLE gateways (
    gateway_id UUID PRIMARY KEY,
    complete_number BIGINT NOT NULL,
    complete_at BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
