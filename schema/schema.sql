-- schema.sql: version 2 of the database (application_id 0x67616974, "gait").
-- What is changed here is changed in files of version 1 by migration_1.sql.
--
-- One column per trajectory or measurement setting is added to `run` when the
-- database is opened, from the settings table (schema/settings.h), so none is
-- listed here; true is 1, "all" is 0.  What has no effect on a run is at its
-- default there and in the views, orthogonal_init too where it is forced
-- (settings_canonical in schema/settings.h).  Likewise the controls
-- (schema/control.h) are columns of `sweep`, "none" being 0 or '': `hold` is
-- whether jobs that it gets are held at first.  Times are seconds since 1970 (UTC),
-- durations seconds, accuracies fractions.
-- Read it with `sqlite3 -readonly`: only gaitd may write.
--
-- Two views for people and pandas, made at the same moment, keep their columns
-- whatever becomes of the tables.  A job's rows are those of its run up to the
-- job's own nb_epochs.  Verifications are left out.
--
--   result  a row per job: job, sweep, position, owner, state, run, every
--           setting, epoch, final_train_accuracy, final_valid_accuracy,
--           final_test_accuracy, peak_train_accuracy, peak_valid_accuracy,
--           peak_test_accuracy, final_test_loss, diverged_epoch (final: at
--           the job's last epoch, NULL until it is done; peak: each the
--           maximum of its own column over the job's rows; diverged_epoch:
--           NULL when behind the job's last)
--   curve   a row per job and evaluation: job, sweep, position, run, every
--           setting, step, epoch, train_accuracy, train_loss, valid_accuracy,
--           valid_loss, test_accuracy, test_loss, state_hash, seconds

CREATE TABLE sweep (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    owner        TEXT    NOT NULL,            -- user name
    owner_uid    INTEGER NOT NULL,
    spec         TEXT    NOT NULL,            -- JSON as submitted, without name
    request_id   TEXT    NOT NULL UNIQUE,     -- chosen by the client
    job_count    INTEGER NOT NULL,
    submitted_at REAL    NOT NULL,
    is_hidden    INTEGER NOT NULL DEFAULT 0,  -- a verification: see job
    is_failing   INTEGER NOT NULL DEFAULT 0,  -- 1: its waiting jobs are being
                                              -- cancelled, by fail_fast
    is_complete  INTEGER NOT NULL DEFAULT 1,  -- 0: its jobs are still going in
                                              -- (or out: see deletion), and
                                              -- nobody is to see them
    entered      INTEGER,                     -- jobs, from the first, that the
                                              -- queue knows of; NULL: all
    after_id     INTEGER,                     -- the sweep that `after` names,
                                              -- while this one waits for it
    is_kept      INTEGER NOT NULL DEFAULT 0,  -- no checkpoint of it is pruned
    finished_at  REAL                         -- when its last job became final;
                                              -- said only while all are
) STRICT;
CREATE INDEX sweep_visible ON sweep (id) WHERE is_hidden = 0 AND is_complete = 1;
CREATE INDEX sweep_unsettled ON sweep (id) WHERE entered IS NOT NULL;
CREATE INDEX sweep_incomplete ON sweep (id) WHERE is_complete = 0;

CREATE TABLE deletion (                       -- of a sweep; stays, so that ids
    sweep_id    INTEGER PRIMARY KEY,          -- and requests are used once
    name        TEXT    NOT NULL,
    submit_id   TEXT    NOT NULL UNIQUE,      -- the request that made the sweep
    request_id  TEXT    NOT NULL UNIQUE,      -- and that deleted it
    uid         INTEGER NOT NULL,             -- who did
    last_sweep  INTEGER NOT NULL,             -- the highest ids there were
    last_job    INTEGER NOT NULL,
    jobs        INTEGER NOT NULL DEFAULT 0,   -- that went, so far
    runs        INTEGER NOT NULL DEFAULT 0,
    rows        INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0,   -- of checkpoints
    shared_runs INTEGER NOT NULL DEFAULT 0,   -- jobs whose run others use
    is_finished INTEGER NOT NULL DEFAULT 0,
    deleted_at  REAL    NOT NULL
) STRICT;
CREATE INDEX sweep_after ON sweep (after_id) WHERE after_id IS NOT NULL;

CREATE TABLE owner (                          -- of sweeps, once one was served
    uid  INTEGER PRIMARY KEY,
    turn INTEGER NOT NULL                     -- their last attempt: who was
) STRICT;                                     -- served longest ago comes next

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
) STRICT;
CREATE UNIQUE INDEX run_identity ON run (key, ifnull(device_class, ''), replica);

CREATE TABLE job (
    id           INTEGER PRIMARY KEY,
    sweep_id     INTEGER NOT NULL REFERENCES sweep (id),
    owner_uid    INTEGER NOT NULL DEFAULT 0,  -- the sweep's
    position     INTEGER NOT NULL,            -- in the sweep, from 0
    run_id       INTEGER NOT NULL REFERENCES run (id),
    nb_epochs    INTEGER NOT NULL,
    label        TEXT    NOT NULL,            -- its varying settings, short
    device       TEXT    NOT NULL,            -- as asked for
    threads      INTEGER NOT NULL,
    gpu_bytes    INTEGER NOT NULL DEFAULT 0,  -- that it takes of a GPU
    lane         TEXT    NOT NULL DEFAULT '', -- same for jobs that can run in
                                              -- the same places, see job_ready
    state        TEXT    NOT NULL CHECK (state IN
                 ('held', 'queued', 'running', 'done', 'failed', 'cancelled')),
    is_ready     INTEGER NOT NULL DEFAULT 0,  -- queued, and nothing in its way
    priority     INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    crashes      INTEGER NOT NULL DEFAULT 0,  -- in a row, without progress
    reason       TEXT,                        -- why it failed, by whom it is
                                              -- held or was cancelled, what a
                                              -- queued one waits for
    retry_at     REAL,                        -- when a queued one has waited
                                              -- long enough after a crash
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
CREATE INDEX job_ready ON job (lane, priority DESC, owner_uid, sweep_id, id) WHERE is_ready = 1;
CREATE INDEX job_waiting ON job (reason) WHERE state = 'queued' AND reason IS NOT NULL;
CREATE INDEX job_run ON job (run_id, state, nb_epochs);
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX job_finished ON job (finished_at, state, sweep_id) WHERE finished_at IS NOT NULL;
CREATE INDEX job_verifies ON job (verifies) WHERE verifies IS NOT NULL;

CREATE TABLE job_count (                      -- of complete sweeps, all states:
    sweep_id INTEGER NOT NULL,                -- what counting would find
    state    TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_total (                      -- the sums of job_count, without
    state TEXT    PRIMARY KEY,                -- verifications; what there never
    count INTEGER NOT NULL                    -- was may be missing
) STRICT, WITHOUT ROWID;
CREATE TRIGGER sweep_removed AFTER DELETE ON sweep BEGIN
    DELETE FROM job_count WHERE sweep_id = OLD.id;
END;

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

CREATE TABLE checkpoint (
    run_id  INTEGER NOT NULL REFERENCES run (id),
    step    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    file    TEXT    NOT NULL,                 -- within the run's folder
    bytes   INTEGER NOT NULL,
    hash    TEXT    NOT NULL,
    PRIMARY KEY (run_id, step, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    id         INTEGER PRIMARY KEY,
    job_id     INTEGER NOT NULL REFERENCES job (id),
    number     INTEGER NOT NULL,              -- of this job, from 1
    device     TEXT    NOT NULL,
    pid        INTEGER,
    started_at REAL    NOT NULL,
    ended_at   REAL,
    outcome    TEXT,                          -- NULL while it runs
    message    TEXT,
    stderr     TEXT,                          -- its worker's last lines there
    from_step  INTEGER,                       -- updates done when it began
    step       INTEGER,                       -- and at its end, as last heard;
                                              -- NULL: gaitd ended first
    seconds    REAL                           -- that it took, as last known
) STRICT;
CREATE INDEX attempt_job ON attempt (job_id);
CREATE INDEX attempt_open ON attempt (job_id) WHERE ended_at IS NULL;

CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    at       REAL    NOT NULL,
    kind     TEXT    NOT NULL,                -- schema/event.h
    sweep_id INTEGER,
    job_id   INTEGER,
    text     TEXT,
    cost_s   REAL                             -- of computing, done again
) STRICT;

CREATE TABLE visit (                          -- what a user has been told of
    uid         INTEGER PRIMARY KEY,
    at          REAL    NOT NULL,
    event_id    INTEGER NOT NULL,             -- events up to this one
    finished_at REAL    NOT NULL              -- jobs up to then
) STRICT;

CREATE TABLE hook (                           -- orders to run one: a sweep has
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- finished; ids of deleted
                                              -- ones are not used again
    sweep_id   INTEGER NOT NULL REFERENCES sweep (id),
    name       TEXT    NOT NULL,              -- in gaitd.json
    done       INTEGER NOT NULL,              -- jobs of the sweep, then
    failed     INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL,
    ordered_at REAL    NOT NULL,
    ended_at   REAL,                          -- NULL: to be run, or under way
    outcome    TEXT
) STRICT;
CREATE INDEX hook_open ON hook (id) WHERE ended_at IS NULL;
CREATE INDEX hook_sweep ON hook (sweep_id);

CREATE TABLE drain (                          -- a row: no job is started
    at   REAL NOT NULL,
    user TEXT NOT NULL                        -- who asked for it
) STRICT;

CREATE TABLE ledger (                         -- one row
    number INTEGER NOT NULL                   -- of the last commit
) STRICT;
INSERT INTO ledger VALUES (0);

CREATE TABLE missing (                        -- what a damaged write-ahead log
    kind  TEXT    NOT NULL,                   -- has lost: sweep, rows, jobs,
    name  TEXT    NOT NULL,                   -- deletion, control, commits
    item  INTEGER NOT NULL,                   -- sweep, run or first job
    first INTEGER NOT NULL,                   -- to `last`: steps, jobs, commits
    last  INTEGER NOT NULL,
    count INTEGER NOT NULL,
    at    REAL    NOT NULL,                   -- when it was noticed
    PRIMARY KEY (kind, name, item)
) STRICT, WITHOUT ROWID;
