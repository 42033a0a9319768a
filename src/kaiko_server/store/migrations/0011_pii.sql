-- What is done with personal data in texts: off, report or mask.
ALTER TABLE projects ADD COLUMN pii TEXT NOT NULL DEFAULT 'off' CHECK (pii IN ('off', 'report', 'mask'));
