-- Why a queue is paused, and since when: JSON. NULL also for one that was paused before there was this column.
ALTER TABLE queues ADD COLUMN pause text;
-- How often it was let go on.
ALTER TABLE queues ADD COLUMN resumes bigint NOT NULL DEFAULT 0;
