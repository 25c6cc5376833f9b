-- A grant can be used in parts, and each use is kept with where and for what it was: to answer the same request the same, to take one
-- back, and to see who uses how much how fast. What a rule refuses is kept for review. Unknown codes are counted by who tries them.

-- +goose Up
ALTER TABLE grants ADD COLUMN reason text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN partial boolean NOT NULL DEFAULT false;
ALTER TABLE grants ADD COLUMN used bigint NOT NULL DEFAULT 0 CHECK (used >= 0 AND used <= value * 1000 + 0.5);
CREATE INDEX grants_expiring ON grants (expires_at, id) WHERE ended_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX grants_redeemed ON grants (created_at) WHERE redemption_id <> '';
CREATE INDEX redemptions_status ON redemptions (status, id);

-- Amounts are thousandths of the program's currency.
CREATE TABLE captures (
    id        text        NOT NULL PRIMARY KEY,
    grant_id  text        NOT NULL REFERENCES grants (id),
    reverses  text        UNIQUE REFERENCES captures (id),
    amount    bigint      NOT NULL CHECK (amount >= 0),
    left_over bigint      NOT NULL CHECK (left_over >= 0),
    by        text        NOT NULL CHECK (by <> ''),
    device    text        NOT NULL,
    order_ref text        NOT NULL,
    author    text        NOT NULL,
    note      text        NOT NULL,
    request   text        NOT NULL,
    at        timestamp NOT NULL,
    CHECK (reverses IS NULL OR author <> '' AND note <> '')
);
CREATE UNIQUE INDEX captures_request ON captures (request) WHERE request <> '';
CREATE INDEX captures_grant ON captures (grant_id, id);
CREATE INDEX captures_device ON captures (device, at) WHERE device <> '' AND reverses IS NULL;
CREATE INDEX captures_at ON captures (at) WHERE reverses IS NULL;
-- +goose StatementBegin
CREATE TRIGGER captures_no_update BEFORE UPDATE ON captures
BEGIN
    SELECT RAISE(ABORT, 'captures is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER captures_no_delete BEFORE DELETE ON captures
BEGIN
    SELECT RAISE(ABORT, 'captures is append-only');
END;
-- +goose StatementEnd

CREATE TABLE refusals (
    id          text        NOT NULL PRIMARY KEY,
    customer_id text        NOT NULL, -- empty when nobody knows whose it was
    reward      text        NOT NULL,
    grant_id    text        NOT NULL,
    action      text        NOT NULL CHECK (action IN ('give', 'redeem', 'capture', 'lookup')),
    reason      text        NOT NULL CHECK (reason <> ''),
    caller      text        NOT NULL,
    device      text        NOT NULL,
    at          timestamp NOT NULL
);
CREATE INDEX refusals_reason ON refusals (reason, id);
CREATE INDEX refusals_customer ON refusals (customer_id, id) WHERE customer_id <> '';

CREATE TABLE code_guessers (
    name   text        NOT NULL PRIMARY KEY CHECK (name <> ''), -- an API key, or a device of one
    since  timestamp NOT NULL,                       -- when the window began
    misses bigint      NOT NULL CHECK (misses >= 0)
);

-- +goose Down
DROP TABLE code_guessers;
DROP TABLE refusals;
DROP TABLE captures;
DROP INDEX redemptions_status;
DROP INDEX grants_redeemed;
DROP INDEX grants_expiring;
ALTER TABLE grants DROP COLUMN used;
ALTER TABLE grants DROP COLUMN partial;
ALTER TABLE grants DROP COLUMN reason;
