-- Codes are worth money: they are kept sealed, by keys that this database does not have, and found by a keyed hash. What was kept
-- in the clear is moved over when a program that has the keys first opens the database. A grant keeps what may be shown of its
-- code, and who gave it by hand; reading a code whole is recorded. A file of codes that is being added knows how far it has come.

-- +goose Up
DROP INDEX reward_codes_free;
ALTER TABLE reward_codes RENAME TO reward_codes_clear;

CREATE TABLE reward_codes (
    hash       blob        NOT NULL PRIMARY KEY CHECK (length(hash) = 32), -- HMAC-SHA256 of the code as it is looked up
    reward     text        NOT NULL,
    grant_id   text        UNIQUE REFERENCES grants (id),
    key_id     text        NOT NULL CHECK (key_id <> ''),
    sealed     blob        NOT NULL CHECK (length(sealed) > 28), -- AES-256-GCM: nonce, code, tag
    created_at timestamp NOT NULL
);
CREATE INDEX reward_codes_free ON reward_codes (reward, hash) WHERE grant_id IS NULL;

-- Secrets of this database's own, sealed by the same keys.
CREATE TABLE code_secrets (
    name   text  NOT NULL PRIMARY KEY,
    key_id text  NOT NULL,
    sealed blob NOT NULL
);

CREATE TABLE code_reveals (
    id         text        NOT NULL PRIMARY KEY,
    grant_id   text        NOT NULL REFERENCES grants (id),
    author     text        NOT NULL CHECK (author <> ''),
    reason     text        NOT NULL CHECK (reason <> ''),
    created_at timestamp NOT NULL
);
CREATE INDEX code_reveals_grant ON code_reveals (grant_id, id);

CREATE TABLE code_uploads (
    id         text        NOT NULL PRIMARY KEY,
    reward     text        NOT NULL,
    status     text        NOT NULL CHECK (status IN ('open', 'done')),
    lines      bigint      NOT NULL CHECK (lines >= 0), -- that are done with
    added      bigint      NOT NULL CHECK (added >= 0),
    duplicates bigint      NOT NULL CHECK (duplicates >= 0),
    invalid    bigint      NOT NULL CHECK (invalid >= 0),
    problems   text        NOT NULL, -- JSON: the first of them, with their lines
    digest     blob        NOT NULL, -- of the lines that are done with
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    CHECK (added + duplicates + invalid <= lines)
);

ALTER TABLE grants ADD COLUMN author text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN request text NOT NULL DEFAULT '';
CREATE UNIQUE INDEX grants_request ON grants (request) WHERE request <> '';
CREATE INDEX grants_reward_status ON grants (reward, status);

-- +goose Down
-- The sealed codes are lost: only a program that has the keys can read them.
DROP INDEX grants_reward_status;
DROP INDEX grants_request;
ALTER TABLE grants DROP COLUMN request;
ALTER TABLE grants DROP COLUMN note;
ALTER TABLE grants DROP COLUMN author;
DROP TABLE code_uploads;
DROP TABLE code_reveals;
DROP TABLE code_secrets;
DROP TABLE reward_codes;
ALTER TABLE reward_codes_clear RENAME TO reward_codes;
CREATE INDEX reward_codes_free ON reward_codes (reward, code) WHERE grant_id IS NULL;
