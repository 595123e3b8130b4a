-- migration_1.sql: makes a database of version 1 one of version 2.

ALTER TABLE sweep ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sweep ADD COLUMN entered INTEGER;
CREATE INDEX sweep_unsettled ON sweep (id) WHERE entered IS NOT NULL;
CREATE INDEX sweep_incomplete ON sweep (id) WHERE is_complete = 0;
DROP INDEX job_queued;
DROP INDEX job_state;
DROP INDEX job_run;
CREATE INDEX job_run ON job (run_id, state, nb_epochs);
CREATE TABLE job_count (                      -- of complete sweeps, all states:
    sweep_id INTEGER NOT NULL,                -- what counting would find
    state    TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER sweep_removed AFTER DELETE ON sweep BEGIN
    DELETE FROM job_count WHERE sweep_id = OLD.id;
END;
WITH state (name) AS (VALUES ('held'), ('queued'), ('running'), ('done'),
                             ('failed'), ('cancelled'))
INSERT INTO job_count SELECT s.id, t.name, (SELECT count(*) FROM job j
    WHERE j.sweep_id = s.id AND j.state = t.name) FROM sweep s, state t;
CREATE TABLE job_total (                      -- the sums of job_count, without
    state TEXT    PRIMARY KEY,                -- verifications; what there never
    count INTEGER NOT NULL                    -- was may be missing
) STRICT, WITHOUT ROWID;
INSERT INTO job_total SELECT c.state, sum(c.count) FROM job_count c
    JOIN sweep s ON s.id = c.sweep_id WHERE s.is_hidden = 0 GROUP BY c.state;
CREATE INDEX sweep_visible ON sweep (id) WHERE is_hidden = 0 AND is_complete = 1;

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

ALTER TABLE job ADD COLUMN retry_at REAL;
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
ALTER TABLE attempt ADD COLUMN stderr TEXT;
ALTER TABLE sweep ADD COLUMN is_kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep ADD COLUMN finished_at REAL;
UPDATE sweep SET finished_at =
    (SELECT max(finished_at) FROM job WHERE sweep_id = sweep.id);
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

ALTER TABLE sweep ADD COLUMN is_failing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN from_step INTEGER;
ALTER TABLE attempt ADD COLUMN step INTEGER;
ALTER TABLE attempt ADD COLUMN seconds REAL;
ALTER TABLE event ADD COLUMN cost_s REAL;
CREATE INDEX job_finished ON job (finished_at, state, sweep_id) WHERE finished_at IS NOT NULL;

CREATE TABLE visit (
    uid         INTEGER PRIMARY KEY,
    at          REAL    NOT NULL,
    event_id    INTEGER NOT NULL,
    finished_at REAL    NOT NULL
) STRICT;

CREATE TABLE drain (
    at   REAL NOT NULL,
    user TEXT NOT NULL
) STRICT;

CREATE TABLE hook (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    sweep_id   INTEGER NOT NULL REFERENCES sweep (id),
    name       TEXT    NOT NULL,
    done       INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL,
    ordered_at REAL    NOT NULL,
    ended_at   REAL,
    outcome    TEXT
) STRICT;
CREATE INDEX hook_open ON hook (id) WHERE ended_at IS NULL;
CREATE INDEX hook_sweep ON hook (sweep_id);

CREATE TABLE ledger (
    number INTEGER NOT NULL
) STRICT;
INSERT INTO ledger VALUES (0);

CREATE TABLE missing (
    kind  TEXT    NOT NULL,
    name  TEXT    NOT NULL,
    item  INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    count INTEGER NOT NULL,
    at    REAL    NOT NULL,
    PRIMARY KEY (kind, name, item)
) STRICT, WITHOUT ROWID;
