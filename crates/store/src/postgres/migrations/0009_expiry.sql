-- Bodies that are too old are found by their time. They come about in its order, so that a summary of each range of pages
-- is enough.

CREATE INDEX bodies_by_time ON bodies USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);
