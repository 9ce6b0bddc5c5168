-- How far each gateway's record is complete.

CREATE TABLE gateways (
    gateway_id BLOB PRIMARY KEY,
    complete_number INTEGER NOT NULL,
    complete_at INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
);
