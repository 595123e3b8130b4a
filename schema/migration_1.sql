-- migration_1.sql: makes a database of version 1 one of version 2.

ALTER TABLE sweep ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sweep ADD COLUMN entered INTEGER;
CREATE INDEX sweep_unsettled ON sweep (id) WHERE entered IS NOT NULL;
CREATE INDEX sweep_incomplete ON sweep (id) WHERE is_complete = 0;
