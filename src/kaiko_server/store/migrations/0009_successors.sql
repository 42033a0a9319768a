-- The key that follows this one since it was rotated.
ALTER TABLE keys ADD COLUMN successor TEXT;
