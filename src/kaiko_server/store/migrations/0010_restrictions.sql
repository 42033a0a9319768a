-- What a project may not use, whoever its keys belong to: said of itself, of its plan, or of the region that it is in.
CREATE TABLE restrictions (
    kind TEXT NOT NULL CHECK (kind IN ('project', 'plan', 'region')),
    name TEXT NOT NULL,
    feature TEXT NOT NULL,
    PRIMARY KEY (kind, name, feature)
);
-- Such as DE or us-east: the operator's word for where it is.
ALTER TABLE projects ADD COLUMN region TEXT;
