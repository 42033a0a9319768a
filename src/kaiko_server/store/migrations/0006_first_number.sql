-- The number from which on a context's messages count: those before it belong to a state that has died, and wait for the sweeper.
ALTER TABLE contexts ADD COLUMN first_number BIGINT NOT NULL DEFAULT 0;
