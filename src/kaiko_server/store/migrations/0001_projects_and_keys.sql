-- Times are microseconds since 1970 in UTC. BYTEA is a blob on SQLite too: its column affinity leaves blobs alone.

CREATE TABLE projects (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    name TEXT NOT NULL,
    -- The last four characters of the key: enough to tell keys apart, no help in guessing one.
    hint TEXT NOT NULL,
    -- HMAC-SHA-256 of the key with the server's pepper. The key itself is kept nowhere.
    digest BYTEA NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX keys_by_project ON keys (project_id, created_at);
