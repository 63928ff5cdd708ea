-- Grants. What they hold about persons is sealed inside `body`.
CREATE TABLE accreditation (
    id TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    owner TEXT NOT NULL,
    context TEXT NOT NULL,
    last_changed INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX accreditation_list ON accreditation (owner, context, last_changed, id);

-- The audit trail: link = SHA-256(link of the row before, or 32 zero bytes, followed by `body`).
CREATE TABLE audit (
    sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence >= 1),
    body TEXT NOT NULL,
    link BLOB NOT NULL CHECK (length(link) = 32)
) STRICT;

-- Against mistakes. Against intent there is the chain.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are not changed');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are not deleted');
END;

CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    month INTEGER NOT NULL,
    context TEXT NOT NULL,
    dataset TEXT NOT NULL,
    owner TEXT NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 1),
    PRIMARY KEY (month, context, dataset, owner)
) STRICT, WITHOUT ROWID;

-- `canary`: sealed with the subject key, tells whether it is the right one.
-- `probe`: written to find out whether writing is possible.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
