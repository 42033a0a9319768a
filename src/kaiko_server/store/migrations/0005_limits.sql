-- What a key may do and how much. Of every limit: null leaves it to the next above (key, plan, settings), 0 is none at all.

CREATE TABLE plans (
    name TEXT NOT NULL PRIMARY KEY,
    per_minute BIGINT,
    concurrent BIGINT,
    tokens_per_month BIGINT
);
INSERT INTO plans (name, per_minute, concurrent, tokens_per_month) VALUES ('standard', 1000, 10, 100000);
ALTER TABLE projects ADD COLUMN plan TEXT REFERENCES plans (name);

-- Words, one space between them.
ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'analysis contexts chat';
-- Addresses and networks that it may come from, one space between them; null: from anywhere.
ALTER TABLE keys ADD COLUMN addresses TEXT;
ALTER TABLE keys ADD COLUMN per_minute BIGINT;
ALTER TABLE keys ADD COLUMN concurrent BIGINT;
ALTER TABLE keys ADD COLUMN tokens_per_month BIGINT;
ALTER TABLE keys ADD COLUMN last_used_at BIGINT;

-- What was used, by key and day (UTC, days since 1970).
CREATE TABLE usage (
    key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    day BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    texts BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    PRIMARY KEY (key_id, day)
);
