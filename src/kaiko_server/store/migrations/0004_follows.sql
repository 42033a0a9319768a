-- Of a user's point: twice the category of the user's point before it, and 1 more where that was strong; null where there was none.
-- What a point follows is counted with it, and must be known when that changes though the other point has expired.
ALTER TABLE points ADD COLUMN follows SMALLINT;
UPDATE points SET follows = (
    SELECT 2 * b.category + CASE WHEN b.intensity >= 7500 THEN 1 ELSE 0 END FROM points b
    WHERE b.context_id = points.context_id AND b.role = 0 AND (b.said_at, b.number) < (points.said_at, points.number)
    ORDER BY b.said_at DESC, b.number DESC LIMIT 1
) WHERE role = 0;
