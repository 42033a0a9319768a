-- The arc of a conversation: numbers alone. What they mean and how they add up: trajectory/maths.py, decision 0014.

-- Running sums, JSON of whole numbers.
ALTER TABLE contexts ADD COLUMN ledger TEXT NOT NULL DEFAULT '{}';
-- The newest points and a sample of those before, packed.
ALTER TABLE contexts ADD COLUMN recent BYTEA;
ALTER TABLE contexts ADD COLUMN landmarks BYTEA;
-- When the oldest and the newest point that is still kept was said; null where there is none.
ALTER TABLE contexts ADD COLUMN points_from BIGINT;
ALTER TABLE contexts ADD COLUMN points_to BIGINT;

CREATE TABLE points (
    context_id TEXT NOT NULL REFERENCES contexts (id),
    said_at BIGINT NOT NULL,
    number BIGINT NOT NULL,
    role SMALLINT NOT NULL,
    category SMALLINT NOT NULL,
    complexity SMALLINT NOT NULL,
    -- Scores in ten-thousandths.
    intensity SMALLINT NOT NULL,
    valence SMALLINT NOT NULL,
    arousal SMALLINT NOT NULL,
    wonder SMALLINT NOT NULL,
    breakthrough SMALLINT NOT NULL,
    -- Of a user's valence: -1, 0 or 1; null for other roles.
    sign SMALLINT,
    -- Microseconds since what it ends began, where it ends a run of negative valence.
    recovery BIGINT,
    -- The category of what began that run.
    recovered_from SMALLINT,
    PRIMARY KEY (context_id, said_at, number)
);

-- Where a user's points stand beside each other, those of other roles left out.
CREATE INDEX points_of_user ON points (context_id, role, said_at, number);
CREATE INDEX points_by_sign ON points (context_id, sign, said_at, number);
CREATE INDEX points_by_number ON points (context_id, number);

-- Sums of a user's points by hour (size 1) and by day (size 24), UTC.
CREATE TABLE tallies (
    context_id TEXT NOT NULL REFERENCES contexts (id),
    size SMALLINT NOT NULL,
    begins BIGINT NOT NULL,
    sums TEXT NOT NULL,
    -- Of days: what recurs, see trajectory/habits.py.
    habits TEXT,
    PRIMARY KEY (context_id, size, begins)
);
