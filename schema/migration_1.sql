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
