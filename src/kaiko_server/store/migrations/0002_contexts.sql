-- What is remembered of a conversation: numbers and labels, never a text, nor anything made of one that would outlive the state.

-- How long what is remembered lives, in seconds, where a project wants it otherwise than the server.
ALTER TABLE projects ADD COLUMN context_state_s BIGINT;
ALTER TABLE projects ADD COLUMN context_points_s BIGINT;
ALTER TABLE projects ADD COLUMN context_strict SMALLINT;

CREATE TABLE contexts (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    -- As the client calls it, in UTF-8; bytes, since PostgreSQL's text cannot hold every character.
    name BYTEA NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    created_at BIGINT NOT NULL,
    -- When its last message came, by the server's clock: the state lives for so long after it.
    last_came BIGINT NOT NULL,
    -- When the sweeper is to look at it: something of it has expired then.
    due_at BIGINT NOT NULL,
    message_count BIGINT NOT NULL,
    -- Messages that ever came, for the order of those that are told to be of one time.
    last_number BIGINT NOT NULL,
    -- Random, for the digests of messages: it dies with the row, and the digests mean nothing without it.
    digest_key BYTEA NOT NULL CHECK (length(digest_key) = 32),
    -- JSON: the latest item of each role, and what the next reading needs of the messages before it.
    state TEXT NOT NULL,
    UNIQUE (project_id, environment, name)
);

CREATE INDEX contexts_by_due ON contexts (due_at);

CREATE TABLE context_messages (
    context_id TEXT NOT NULL REFERENCES contexts (id),
    external_id BYTEA NOT NULL CHECK (length(external_id) BETWEEN 1 AND 255),
    number BIGINT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
    said_at BIGINT NOT NULL,
    -- Keyed with the context's own key: tells the same content from other content under one external id.
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    -- JSON: the emotion item, without the text.
    item TEXT NOT NULL,
    PRIMARY KEY (context_id, external_id)
);

CREATE INDEX context_messages_in_order ON context_messages (context_id, number);
