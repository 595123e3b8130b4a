-- A database as version 1 wrote it: one job done, one failed, one under way.
PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE attempt (
    id         INTEGER PRIMARY KEY,
    job_id     INTEGER NOT NULL REFERENCES job (id),
    number     INTEGER NOT NULL,              -- of this job, from 1
    device     TEXT    NOT NULL,
    pid        INTEGER,
    started_at REAL    NOT NULL,
    ended_at   REAL,
    outcome    TEXT,                          -- NULL while it runs
    message    TEXT
) STRICT;
INSERT INTO "attempt" VALUES(1,1,1,'cpu:0',4711,1.79539240448057198524e+09,1.79539240448201417926e+09,'done',NULL);
INSERT INTO "attempt" VALUES(2,2,1,'cpu:0',NULL,1.79539240448201417926e+09,1.79539240449258303642e+09,'failed','no luck');
INSERT INTO "attempt" VALUES(3,3,1,'cpu:0',NULL,1.79539240449258303642e+09,NULL,NULL,NULL);
CREATE TABLE checkpoint (
    run_id  INTEGER NOT NULL REFERENCES run (id),
    step    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    file    TEXT    NOT NULL,                 -- within the run's folder
    bytes   INTEGER NOT NULL,
    hash    TEXT    NOT NULL,
    PRIMARY KEY (run_id, step, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO "checkpoint" VALUES(1,20,1,'20-1.safetensors',1234,'00112233445566778899aabbccddeeff');
CREATE TABLE diagnostic (                     -- of rows of history, with the
    run_id       INTEGER NOT NULL,            -- setting diagnostics
    step         INTEGER NOT NULL,
    layer        INTEGER NOT NULL,            -- from 0, the lowest
    angle        REAL,                        -- degrees, to BP's gradient
    off_diagonal REAL,                        -- Frobenius norm, of W W^T
    condition    REAL,                        -- of W; NULL: not finite, as in
    error_rms    REAL,                        -- all four
    PRIMARY KEY (run_id, step, layer),
    FOREIGN KEY (run_id, step) REFERENCES history (run_id, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    at       REAL    NOT NULL,
    kind     TEXT    NOT NULL,
    sweep_id INTEGER,
    job_id   INTEGER,
    text     TEXT
) STRICT;
INSERT INTO "event" VALUES(1,1.79539240446851754186e+09,'started',NULL,NULL,'0 attempts had been cut short');
INSERT INTO "event" VALUES(2,1.79539240447643518453e+09,'submitted',1,NULL,'grid');
INSERT INTO "event" VALUES(3,1.79539240449258303642e+09,'failed',1,2,'no luck');
CREATE TABLE history (
    run_id         INTEGER NOT NULL REFERENCES run (id),
    step           INTEGER NOT NULL,          -- updates done
    epoch          INTEGER NOT NULL,          -- completed epochs
    train_accuracy REAL    NOT NULL,
    train_loss     REAL    NOT NULL,
    valid_accuracy REAL,                      -- NULL without valid_rows
    valid_loss     REAL,
    test_accuracy  REAL    NOT NULL,
    test_loss      REAL    NOT NULL,
    state_hash     TEXT    NOT NULL,          -- of parameters and moments
    seconds        REAL    NOT NULL,          -- of computing since step 0
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;
INSERT INTO "history" VALUES(1,0,0,0.5,1.0,NULL,NULL,0.4,2.0,'00000000000000000000000000000000',0.0);
INSERT INTO "history" VALUES(1,10,1,0.51,9.09090909090909116141e-02,NULL,NULL,4.10000000000000031086e-01,1.81818181818181823228e-01,'0000000000000000000000000000000a',1.42857142857142860314e+00);
INSERT INTO "history" VALUES(1,20,2,0.52,4.76190476190476164042e-02,NULL,NULL,4.20000000000000039968e-01,9.52380952380952328084e-02,'00000000000000000000000000000014',2.85714285714285720629e+00);
INSERT INTO "history" VALUES(2,0,0,0.5,1.0,NULL,NULL,0.4,2.0,'00000000000000000000000000000000',0.0);
INSERT INTO "history" VALUES(2,10,1,0.51,9.09090909090909116141e-02,NULL,NULL,4.10000000000000031086e-01,1.81818181818181823228e-01,'0000000000000000000000000000000a',1.42857142857142860314e+00);
INSERT INTO "history" VALUES(3,0,0,0.5,1.0,NULL,NULL,0.4,2.0,'00000000000000000000000000000000',0.0);
CREATE TABLE job (
    id           INTEGER PRIMARY KEY,
    sweep_id     INTEGER NOT NULL REFERENCES sweep (id),
    position     INTEGER NOT NULL,            -- in the sweep, from 0
    run_id       INTEGER NOT NULL REFERENCES run (id),
    nb_epochs    INTEGER NOT NULL,
    label        TEXT    NOT NULL,            -- its varying settings, short
    device       TEXT    NOT NULL,            -- as asked for
    threads      INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN
                 ('held', 'queued', 'running', 'done', 'failed', 'cancelled')),
    is_ready     INTEGER NOT NULL DEFAULT 0,  -- queued, and nothing in its way
    priority     INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    crashes      INTEGER NOT NULL DEFAULT 0,  -- in a row, without progress
    reason       TEXT,                        -- why it failed, or what a
                                              -- queued one waits for
    submitted_at REAL    NOT NULL,
    started_at   REAL,
    finished_at  REAL,
    -- Of its rows, kept when it is done, for answers over many jobs.
    final_train_accuracy REAL,
    final_valid_accuracy REAL,
    final_test_accuracy  REAL,
    final_test_loss      REAL,
    peak_train_accuracy  REAL,
    peak_valid_accuracy  REAL,
    peak_test_accuracy   REAL,
    verifies     INTEGER,                     -- the job whose rows must come
                                              -- again; NULL: none
    UNIQUE (sweep_id, position)
) STRICT;
INSERT INTO "job" VALUES(1,1,0,1,2,'seed=1','any',1,'done',0,0,1,0,NULL,1.79539240447643518453e+09,1.79539240448057198524e+09,1.79539240448201417926e+09,0.52,NULL,4.20000000000000039968e-01,9.52380952380952328084e-02,0.52,NULL,4.20000000000000039968e-01,NULL);
INSERT INTO "job" VALUES(2,1,1,2,2,'seed=101','any',1,'failed',0,0,1,0,'no luck',1.79539240447643518453e+09,1.79539240448201417926e+09,1.79539240449258303642e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "job" VALUES(3,1,2,3,2,'seed=201','any',1,'running',0,0,1,0,NULL,1.79539240447643518453e+09,1.79539240449258303642e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE run (
    id             INTEGER PRIMARY KEY,
    key            TEXT    NOT NULL,          -- schema/key.h
    device_class   TEXT,                      -- NULL until first dispatched
    replica        INTEGER NOT NULL DEFAULT 0, -- a higher one supersedes;
                                               -- below 0: verifications
    dataset_digest TEXT    NOT NULL,
    steps_per_epoch INTEGER NOT NULL,
    epochs_done    INTEGER,                   -- NULL until step 0 is committed
    step           INTEGER,                   -- of the last committed row
    state_hash     TEXT,                      -- at that step
    diverged_epoch INTEGER,                   -- the epoch in which it did
    failure        TEXT                       -- how it diverged
, algorithm TEXT NOT NULL DEFAULT 'BP', dataset TEXT NOT NULL DEFAULT 'MNIST', nb_layers INTEGER NOT NULL DEFAULT 1, tower INTEGER NOT NULL DEFAULT 0, widths TEXT NOT NULL DEFAULT 'none', linear INTEGER NOT NULL DEFAULT 0, learning_rate REAL NOT NULL DEFAULT 0.0001, orthogonal_reg REAL NOT NULL DEFAULT 0, orthogonal_init INTEGER NOT NULL DEFAULT 0, seed INTEGER NOT NULL DEFAULT 1, batch_size INTEGER NOT NULL DEFAULT 60, gamma REAL NOT NULL DEFAULT 0.001, precision TEXT NOT NULL DEFAULT 'float32', train_rows INTEGER NOT NULL DEFAULT 0, valid_rows INTEGER NOT NULL DEFAULT 0, shuffle INTEGER NOT NULL DEFAULT 0, eval_every INTEGER NOT NULL DEFAULT 0, eval_offset INTEGER NOT NULL DEFAULT 0, test_rows INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "run" VALUES(1,'806a035fcbd248cffca964aea65d18c4','cpu-openblas-test threads-1',0,'00112233445566778899aabbccddeeff',10,2,20,'00000000000000000000000000000014',NULL,NULL,'BP','MNIST',1,1,'16x10',0,0.0001,0.0,0,1,60,0.001,'float32',0,0,0,0,0,0);
INSERT INTO "run" VALUES(2,'43b796c9d08a1dfabcb61ab34d608b43','cpu-openblas-test threads-1',0,'00112233445566778899aabbccddeeff',10,1,10,'0000000000000000000000000000000a',NULL,NULL,'BP','MNIST',1,1,'16x10',0,0.0001,0.0,0,101,60,0.001,'float32',0,0,0,0,0,0);
INSERT INTO "run" VALUES(3,'2b356753840f9ee558b800e738659e99','cpu-openblas-test threads-1',0,'00112233445566778899aabbccddeeff',10,0,0,'00000000000000000000000000000000',NULL,NULL,'BP','MNIST',1,1,'16x10',0,0.0001,0.0,0,201,60,0.001,'float32',0,0,0,0,0,0);
CREATE TABLE sweep (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    owner        TEXT    NOT NULL,            -- user name
    owner_uid    INTEGER NOT NULL,
    spec         TEXT    NOT NULL,            -- JSON as submitted, without name
    request_id   TEXT    NOT NULL UNIQUE,     -- chosen by the client
    job_count    INTEGER NOT NULL,
    submitted_at REAL    NOT NULL,
    is_hidden    INTEGER NOT NULL DEFAULT 0   -- a verification: see job
) STRICT;
INSERT INTO "sweep" VALUES(1,'grid','ann',1001,'{"base":{"tower":true,"widths":"16x10","batch_size":60,"nb_epochs":2},"axes":{"seed":[1,101,201]}}','r1',3,1.79539240447643518453e+09,0);
CREATE UNIQUE INDEX run_identity ON run (key, ifnull(device_class, ''), replica);
CREATE INDEX job_ready ON job (priority DESC, id) WHERE is_ready = 1;
CREATE INDEX job_waiting ON job (reason) WHERE state = 'queued' AND reason IS NOT NULL;
CREATE INDEX job_queued ON job (run_id, nb_epochs) WHERE state = 'queued';
CREATE INDEX job_run ON job (run_id);
CREATE INDEX job_state ON job (sweep_id, state);
CREATE INDEX attempt_job ON attempt (job_id);
CREATE INDEX attempt_open ON attempt (job_id) WHERE ended_at IS NULL;
CREATE VIEW result AS SELECT j.id AS job, s.name AS sweep, j.position, s.owner, j.state, j.run_id AS run, r.algorithm, r.dataset, r.nb_layers, r.tower, r.widths, r.linear, r.learning_rate, r.orthogonal_reg, r.orthogonal_init, r.seed, r.batch_size, r.gamma, r.precision, r.train_rows, r.valid_rows, r.shuffle, r.eval_every, r.eval_offset, r.test_rows, j.device, j.threads, j.nb_epochs, min(r.epochs_done, j.nb_epochs) AS epoch, CASE j.state WHEN 'done' THEN j.final_train_accuracy END AS final_train_accuracy, CASE j.state WHEN 'done' THEN j.final_valid_accuracy END AS final_valid_accuracy, CASE j.state WHEN 'done' THEN j.final_test_accuracy END AS final_test_accuracy, CASE j.state WHEN 'done' THEN j.peak_train_accuracy ELSE (SELECT max(h.train_accuracy) FROM history h WHERE h.run_id = j.run_id AND h.step <= j.nb_epochs * r.steps_per_epoch) END AS peak_train_accuracy, CASE j.state WHEN 'done' THEN j.peak_valid_accuracy ELSE (SELECT max(h.valid_accuracy) FROM history h WHERE h.run_id = j.run_id AND h.step <= j.nb_epochs * r.steps_per_epoch) END AS peak_valid_accuracy, CASE j.state WHEN 'done' THEN j.peak_test_accuracy ELSE (SELECT max(h.test_accuracy) FROM history h WHERE h.run_id = j.run_id AND h.step <= j.nb_epochs * r.steps_per_epoch) END AS peak_test_accuracy, CASE j.state WHEN 'done' THEN j.final_test_loss END AS final_test_loss, CASE WHEN r.diverged_epoch <= j.nb_epochs THEN r.diverged_epoch END AS diverged_epoch FROM job j JOIN run r ON r.id = j.run_id JOIN sweep s ON s.id = j.sweep_id WHERE r.replica >= 0;
CREATE VIEW curve AS SELECT j.id AS job, s.name AS sweep, j.position, j.run_id AS run, r.algorithm, r.dataset, r.nb_layers, r.tower, r.widths, r.linear, r.learning_rate, r.orthogonal_reg, r.orthogonal_init, r.seed, r.batch_size, r.gamma, r.precision, r.train_rows, r.valid_rows, r.shuffle, r.eval_every, r.eval_offset, r.test_rows, j.device, j.threads, j.nb_epochs, h.step, h.epoch, h.train_accuracy, h.train_loss, h.valid_accuracy, h.valid_loss, h.test_accuracy, h.test_loss, h.state_hash, h.seconds FROM job j JOIN run r ON r.id = j.run_id JOIN sweep s ON s.id = j.sweep_id JOIN history h ON h.run_id = j.run_id AND h.step <= j.nb_epochs * r.steps_per_epoch WHERE r.replica >= 0;
COMMIT;
PRAGMA application_id = 1734437236;
PRAGMA user_version = 1;
