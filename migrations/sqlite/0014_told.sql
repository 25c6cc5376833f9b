-- Webhooks about the account come late and in any order, so what WhatsApp told last is kept with the time at which it told, for each
-- kind of thing that it tells. Its times are to the second.

-- +goose Up
ALTER TABLE account ADD COLUMN circuit_told_at timestamp;   -- of what has its circuit open; null: it is closed, or something else opened it
ALTER TABLE account ADD COLUMN marketing_told_at timestamp;
ALTER TABLE account ADD COLUMN lifted_told_at timestamp;    -- of the latest that takes such a thing back
ALTER TABLE account ADD COLUMN limit_told_at timestamp;
ALTER TABLE account ADD COLUMN quality_told_at timestamp;

-- +goose Down
ALTER TABLE account DROP COLUMN quality_told_at;
ALTER TABLE account DROP COLUMN limit_told_at;
ALTER TABLE account DROP COLUMN lifted_told_at;
ALTER TABLE account DROP COLUMN marketing_told_at;
ALTER TABLE account DROP COLUMN circuit_told_at;
