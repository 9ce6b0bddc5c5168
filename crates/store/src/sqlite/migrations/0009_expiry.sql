-- Bodies that are too old are found by their time.

CREATE INDEX bodies_by_time ON bodies (received_at);
