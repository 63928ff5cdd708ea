-- Statements of answers that left as streams, sealed. `sequence` says in which order they were kept and never comes
-- again, so that the oldest are found without counting.
CREATE TABLE proof (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    expires INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX proof_expires ON proof (expires);
