-- Requests that carry an Idempotency-Key. Every digest is keyed with what the caller alone holds: without its API key and its
-- idempotency key nobody can tell what a row is about, or open what is sealed in it.
CREATE TABLE tickets (
    -- Of API key, method, path and idempotency key.
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    -- Of the request's body.
    body BYTEA NOT NULL CHECK (length(body) = 32),
    -- Counts who holds it: a holder whose lease has ended may have a successor.
    fence BIGINT NOT NULL,
    ended SMALLINT NOT NULL DEFAULT 0,
    leased_until BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    forgotten_at BIGINT NOT NULL,
    -- The version of the model, where the reply is computed again.
    model TEXT NOT NULL,
    -- The context that the request was about: both are erased together.
    context_id TEXT,
    status SMALLINT,
    -- Sealed; null where the reply is computed again.
    reply BYTEA
);

CREATE INDEX tickets_by_end ON tickets (forgotten_at);
CREATE INDEX tickets_by_context ON tickets (context_id);
