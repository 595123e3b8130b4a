-- migration_1.sql: makes a database of version 1 one of version 2.

ALTER TABLE sweep ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;
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
