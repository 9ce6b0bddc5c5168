-- What the gateway decided, which way a record came, and its place in a trace.

ALTER TABLE requests ADD COLUMN origin TEXT NOT NULL DEFAULT 'gateway';
ALTER TABLE requests ADD COLUMN step TEXT NOT NULL DEFAULT 'model';
ALTER TABLE requests ADD COLUMN name TEXT;
ALTER TABLE requests ADD COLUMN native_finish_reason TEXT;
ALTER TABLE requests ADD COLUMN span_id TEXT;
ALTER TABLE requests ADD COLUMN cache_status TEXT;
ALTER TABLE requests ADD COLUMN control TEXT;
