-- Signed heads over the audit trail: each covers the rows from `first` to `last`, and the one before
-- ends where it begins.
CREATE TABLE audit_head (
    last INTEGER NOT NULL PRIMARY KEY,
    first INTEGER NOT NULL CHECK (first BETWEEN 1 AND last),
    jws TEXT NOT NULL
) STRICT;

-- What a time-stamping authority said about a head.
CREATE TABLE audit_stamp (
    last INTEGER NOT NULL PRIMARY KEY,
    stamp BLOB NOT NULL
) STRICT;

-- Against mistakes. Against intent there are the signatures, and copies of heads elsewhere.
CREATE TRIGGER audit_head_is_not_changed BEFORE UPDATE ON audit_head
BEGIN
    SELECT RAISE(ABORT, 'heads of the audit trail are not changed');
END;

CREATE TRIGGER audit_head_is_not_deleted BEFORE DELETE ON audit_head
BEGIN
    SELECT RAISE(ABORT, 'heads of the audit trail are not deleted');
END;

-- About whom, for extracts: the canonical text of a public party, the keyed index of another. Read
-- from `body`, so that the two cannot differ; NULL, which is nobody, where a row does not read.
ALTER TABLE audit ADD COLUMN subject TEXT AS (
    CASE WHEN json_valid(body) THEN
        coalesce(body ->> '$.subject.sealed.index', body ->> '$.subject.clear')
    END
) VIRTUAL;

CREATE INDEX audit_subject ON audit (subject, sequence) WHERE subject IS NOT NULL;
