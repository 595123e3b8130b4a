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
ALTER TABLE job ADD COLUMN gpu_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN lane TEXT NOT NULL DEFAULT '';
UPDATE job SET lane = device || ' ' || threads || ' 0' || ifnull(
    ' ' || (SELECT device_class FROM run WHERE id = run_id), '');
CREATE INDEX job_ready ON job (lane, priority DESC, owner_uid, sweep_id, id) WHERE is_ready = 1;
DROP INDEX job_queued;
CREATE INDEX job_open ON job (run_id, nb_epochs) WHERE state IN ('held', 'queued');

ALTER TABLE job ADD COLUMN retry_at REAL;
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
ALTER TABLE attempt ADD COLUMN stderr TEXT;
ALTER TABLE sweep ADD COLUMN is_kept INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_verifies ON job (verifies) WHERE verifies IS NOT NULL;

CREATE TABLE deletion (
    sweep_id    INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL,
    submit_id   TEXT    NOT NULL UNIQUE,
    request_id  TEXT    NOT NULL UNIQUE,
    uid         INTEGER NOT NULL,
    last_sweep  INTEGER NOT NULL,
    last_job    INTEGER NOT NULL,
    jobs        INTEGER NOT NULL DEFAULT 0,
    runs        INTEGER NOT NULL DEFAULT 0,
    rows        INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0,
    shared_runs INTEGER NOT NULL DEFAULT 0,
    is_finished INTEGER NOT NULL DEFAULT 0,
    deleted_at  REAL    NOT NULL
) STRICT;
