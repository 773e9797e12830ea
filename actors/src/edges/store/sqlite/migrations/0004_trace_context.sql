-- The span that a job was submitted in: a traceparent of W3C Trace Context.
ALTER TABLE jobs ADD COLUMN trace_context TEXT;
