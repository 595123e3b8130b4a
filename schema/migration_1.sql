-- migration_1.sql: makes a database of version 1 one of version 2.

ALTER TABLE sweep ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job ADD COLUMN retry_at REAL;
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
ALTER TABLE attempt ADD COLUMN stderr TEXT;
ALTER TABLE sweep ADD COLUMN entered INTEGER;
CREATE INDEX sweep_unsettled ON sweep (id) WHERE entered IS NOT NULL;
CREATE INDEX sweep_incomplete ON sweep (id) WHERE is_complete = 0;
CREATE TABLE job_count (                      -- what counting would find,
    sweep_id INTEGER NOT NULL,                -- kept by the triggers below
    state    TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    INSERT INTO job_count VALUES (NEW.sweep_id, NEW.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_moved AFTER UPDATE OF state ON job
WHEN OLD.state <> NEW.state BEGIN
    UPDATE job_count SET count = count - 1
    WHERE sweep_id = OLD.sweep_id AND state = OLD.state;
    INSERT INTO job_count VALUES (NEW.sweep_id, NEW.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_removed AFTER DELETE ON job BEGIN
    UPDATE job_count SET count = count - 1
    WHERE sweep_id = OLD.sweep_id AND state = OLD.state;
    DELETE FROM job_count
    WHERE sweep_id = OLD.sweep_id AND state = OLD.state AND count = 0;
END;
INSERT INTO job_count
SELECT sweep_id, state, count(*) FROM job GROUP BY sweep_id, state;

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
    id         INTEGER PRIMARY KEY,
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
