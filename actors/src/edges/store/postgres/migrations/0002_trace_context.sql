-- The span that a job was submitted in: a traceparent of W3C Trace Context.
ALTER TABLE job_bodies ADD COLUMN trace_context text;
