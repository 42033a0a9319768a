-- What is remembered of a conversation: numbers and labels, never a text, nor anything made of one that would outlive the state.

CREATE TABLE contexts (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    -- As the client calls it, in UTF-8; bytes, since PostgreSQL's text cannot hold every character.
    name BYTEA NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    created_at BIGINT NOT NULL,
    -- From here on the state is gone, whether its row has been swept away yet or not.
    expires_at BIGINT NOT NULL,
    message_count BIGINT NOT NULL,
    -- Messages that ever came, for the order of those that are told to be of one time.
    last_number BIGINT NOT NULL,
    -- Random, for the digests of messages: it dies with the row, and the digests mean nothing without it.
    digest_key BYTEA NOT NULL CHECK (length(digest_key) = 32),
    -- JSON: the latest item of each role, and what the next reading needs of the messages before it.
    state TEXT NOT NULL,
    UNIQUE (project_id, environment, name)
);

CREATE INDEX contexts_by_expiry ON contexts (expires_at);

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
