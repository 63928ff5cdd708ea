-- When a grant ends, for retention. Read from `body`, so that the two cannot differ; NULL, which is
-- never ended, where the record does not read.
ALTER TABLE accreditation ADD COLUMN valid_to INTEGER AS (
    CASE WHEN json_valid(body) THEN
        CASE json_type(body, '$.valid_to')
            WHEN 'integer' THEN json_extract(body, '$.valid_to')
        END
    END
) VIRTUAL;

CREATE INDEX accreditation_ended ON accreditation (valid_to, id);

-- Answered applications, by a keyed index of the owner and its key. What is known of the
-- application is sealed inside `body`.
CREATE TABLE idempotency (
    id TEXT NOT NULL PRIMARY KEY,
    expires INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expired ON idempotency (expires);
