-- Who did what to keys, projects and contexts, and when; never with what content. Each line holds a hash of itself and of the line before it.
CREATE TABLE audit (
    number BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    -- Such as cli:root or key_0123456789abcdef.
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    -- The id of what it was done to.
    subject TEXT NOT NULL,
    address TEXT,
    request_id TEXT,
    -- JSON.
    detail TEXT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);

-- The last line that was written and the last that was taken away because of its age: one row, which is the lock.
CREATE TABLE audit_ends (
    id SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last_number BIGINT NOT NULL,
    last_hash BYTEA NOT NULL CHECK (length(last_hash) = 32),
    gone_number BIGINT NOT NULL,
    gone_hash BYTEA NOT NULL CHECK (length(gone_hash) = 32)
);
