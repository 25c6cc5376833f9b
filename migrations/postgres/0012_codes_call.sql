-- A code may be another system's, which is asked for it once the grant is committed. Until it answers the grant awaits its code, and can be
-- given back but not used.

-- +goose Up
ALTER TABLE grants ADD COLUMN awaits_code boolean NOT NULL DEFAULT false
    CHECK (NOT awaits_code OR code = '' AND used = 0 AND status IN ('held', 'given'));
-- A run asks for one code at a time.
CREATE UNIQUE INDEX grants_awaiting ON grants (run_id) WHERE awaits_code AND run_id <> '';
CREATE INDEX grants_abandoned ON grants (created_at) WHERE awaits_code AND run_id = '';

-- +goose Down
DROP INDEX grants_abandoned;
DROP INDEX grants_awaiting;
ALTER TABLE grants DROP COLUMN awaits_code;
