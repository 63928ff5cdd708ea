-- When and how often each API key was used: `count` requests on `day`, in days since 1970-01-01 (UTC).
CREATE TABLE key_use (
    key_id TEXT NOT NULL PRIMARY KEY,
    last_used INTEGER NOT NULL,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;
