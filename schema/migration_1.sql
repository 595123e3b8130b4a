-- migration_1.sql: makes a database of version 1 one of version 2.

ALTER TABLE sweep ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;

ALTER TABLE sweep ADD COLUMN after_id INTEGER;
CREATE INDEX sweep_after ON sweep (after_id) WHERE after_id IS NOT NULL;

CREATE TABLE owner (
    uid  INTEGER PRIMARY KEY,
    turn INTEGER NOT NULL
) STRICT;

ALTER TABLE job ADD COLUMN owner_uid INTEGER NOT NULL DEFAULT 0;
UPDATE job SET owner_uid = (SELECT owner_uid FROM sweep WHERE id = sweep_id);
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (priority DESC, owner_uid, sweep_id, id) WHERE is_ready = 1;
DROP INDEX job_queued;
CREATE INDEX job_open ON job (run_id, nb_epochs) WHERE state IN ('held', 'queued');

ALTER TABLE job ADD COLUMN retry_at REAL;
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
ALTER TABLE attempt ADD COLUMN stderr TEXT;
