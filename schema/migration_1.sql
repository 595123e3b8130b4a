-- migration_1.sql: makes a database of version 1 one of version 2.

ALTER TABLE sweep ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job ADD COLUMN retry_at REAL;
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
ALTER TABLE attempt ADD COLUMN stderr TEXT;
