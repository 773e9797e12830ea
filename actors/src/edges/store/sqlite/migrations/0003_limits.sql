-- Jobs of the queue that may be with all nodes together at most.
ALTER TABLE queues ADD COLUMN max_running INTEGER;
