-- What keeps to WhatsApp's limits, what WhatsApp says of the account, and what a person is to look at.

-- +goose Up
CREATE TABLE alerts (
    id        text        NOT NULL PRIMARY KEY,
    kind      text        NOT NULL CHECK (kind <> ''),
    subject   text        NOT NULL, -- what it is about: a template, an account; empty where the kind says all
    severity  text        NOT NULL CHECK (severity IN ('warning', 'critical')),
    detail    text        NOT NULL, -- the latest code
    count     bigint      NOT NULL CHECK (count > 0), -- how often it was raised while open
    opened_at timestamp NOT NULL,
    raised_at timestamp NOT NULL, -- the latest time
    closed_at timestamp,
    closed_by text        NOT NULL,
    CHECK ((closed_at IS NULL) = (closed_by = ''))
);
-- One is open for each kind and subject.
CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE closed_at IS NULL;

-- The lanes before WhatsApp's door: one row a number or account. Times are microseconds of the database's own clock.
CREATE TABLE send_rates (
    name      text    NOT NULL PRIMARY KEY,
    lanes     blob  NOT NULL, -- from when each is free: one call a second goes through each
    turn      bigint  NOT NULL, -- the latest that was given to marketing
    kept_turn bigint  NOT NULL, -- the latest that was given to what is not marketing
    line      bigint  NOT NULL, -- when the last marketing message that was told to come back will have its turn
    kept_line bigint  NOT NULL, -- the same of what is not marketing
    level     integer NOT NULL CHECK (level >= 0), -- how often WhatsApp said too many: the rate halves with each
    level_at  bigint  NOT NULL,
    paused    bigint  NOT NULL  -- until when nobody has a turn
);

-- What WhatsApp says of the account: one row.
CREATE TABLE account (
    id               integer     NOT NULL PRIMARY KEY CHECK (id = 1),
    circuit          text        NOT NULL, -- why nothing is sent; empty: it is
    circuit_at       timestamp,
    circuit_until    timestamp,          -- when it closes by itself; null: somebody closes it
    marketing        text        NOT NULL, -- why no marketing is sent
    marketing_at     timestamp,
    marketing_until  timestamp,
    daily_limit      bigint,               -- customers a day outside their service window; 0: any number; null: not told yet
    quality          text        NOT NULL, -- of the number
    CHECK ((circuit = '') = (circuit_at IS NULL)),
    CHECK (circuit <> '' OR circuit_until IS NULL),
    CHECK ((marketing = '') = (marketing_at IS NULL)),
    CHECK (marketing <> '' OR marketing_until IS NULL),
    CHECK (daily_limit >= 0)
);
INSERT INTO account (id, circuit, marketing, quality) VALUES (1, '', '', '');

-- How many customers were written to outside of their service window, by the hour of each one's latest such message.
CREATE TABLE contacts (
    hour  timestamp NOT NULL PRIMARY KEY,
    users bigint      NOT NULL CHECK (users >= 0)
);

ALTER TABLE customers ADD COLUMN pair_until timestamp;      -- machine time: the pair's rate is used up to here
ALTER TABLE customers ADD COLUMN contacted_at timestamp;    -- when they were last counted among the contacts
ALTER TABLE customers ADD COLUMN marketing_after timestamp; -- WhatsApp delivers them no marketing before
ALTER TABLE messages ADD COLUMN reported_at timestamp;      -- when an alert said that no status settles it
CREATE INDEX messages_unsettled ON messages (id) WHERE status = 'sending' OR status = 'unknown';
CREATE INDEX messages_unreported ON messages (handed_at) WHERE reported_at IS NULL AND (status = 'sending' OR status = 'unknown');
CREATE INDEX runs_held_reason ON runs (reason, id) WHERE status = 'held';

-- +goose Down
DROP INDEX runs_held_reason;
DROP INDEX messages_unreported;
DROP INDEX messages_unsettled;
ALTER TABLE messages DROP COLUMN reported_at;
ALTER TABLE customers DROP COLUMN marketing_after;
ALTER TABLE customers DROP COLUMN contacted_at;
ALTER TABLE customers DROP COLUMN pair_until;
DROP TABLE contacts;
DROP TABLE account;
DROP TABLE send_rates;
DROP TABLE alerts;
