-- What hooks sign with is kept sealed, by the keys that seal codes. What an earlier version kept in the clear is sealed when a program
-- that has the keys next opens the database.

-- +goose Up
ALTER TABLE hooks ADD COLUMN key_id text NOT NULL DEFAULT '' CHECK (key_id = '' OR (secret = '' AND former = '')); -- empty: in the clear
ALTER TABLE hooks ADD COLUMN sealed bytea; -- AES-256-GCM: nonce, secret, tag
ALTER TABLE hooks ADD COLUMN sealed_former bytea;

-- +goose Down
-- The sealed secrets are lost, and with them their hooks: only a program that has the keys can read them.
UPDATE hooks SET removed_at = created_at WHERE key_id <> '' AND removed_at IS NULL;
ALTER TABLE hooks DROP COLUMN key_id;
ALTER TABLE hooks DROP COLUMN sealed;
ALTER TABLE hooks DROP COLUMN sealed_former;
