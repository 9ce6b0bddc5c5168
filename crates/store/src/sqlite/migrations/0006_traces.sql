-- The rows of a trace are seen together: what two of them tell of one call is counted once.

CREATE INDEX requests_by_trace ON requests (org_id, trace_id) WHERE trace_id IS NOT NULL;
