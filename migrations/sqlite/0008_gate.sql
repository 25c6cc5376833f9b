-- Why each message went, waited or was not sent; whom WhatsApp cannot reach; questions that wait for a person; and what is done for the
-- hygiene of the list.

-- +goose Up
CREATE TABLE message_decisions (
    id          integer     PRIMARY KEY AUTOINCREMENT,
    customer_id text        NOT NULL REFERENCES customers (id),
    message_id  text        NOT NULL,
    run_id      text        NOT NULL,
    step        integer     NOT NULL,
    journey     text        NOT NULL,
    template    text        NOT NULL, -- empty for free text
    at          timestamp NOT NULL,
    verdict     text        NOT NULL CHECK (verdict IN ('send', 'defer', 'hold', 'suppress', 'end', 'failed')),
    reason      text        NOT NULL CHECK ((verdict = 'send') = (reason = '')),
    until       timestamp,
    facts       text NOT NULL -- what the gate saw, without phone or text
);
CREATE INDEX message_decisions_customer ON message_decisions (customer_id, id);

ALTER TABLE customers ADD COLUMN undelivered integer NOT NULL DEFAULT 0; -- messages in a row that WhatsApp could not deliver

-- A question that waits for a person mutes nothing, and belongs to no run.
ALTER TABLE handoffs ADD COLUMN mutes boolean NOT NULL DEFAULT true;
ALTER TABLE handoffs ADD COLUMN message_id text NOT NULL DEFAULT ''; -- the customer's, which nobody has answered
DROP INDEX handoffs_effect;
CREATE UNIQUE INDEX handoffs_effect ON handoffs (run_id, step) WHERE run_id <> '';
CREATE UNIQUE INDEX handoffs_question ON handoffs (customer_id) WHERE closed_at IS NULL AND run_id = '';

-- One row a day on which the list was looked through.
CREATE TABLE hygiene_rounds (
    day           text        NOT NULL PRIMARY KEY, -- 2006-01-02, in the program's zone
    started_at    timestamp NOT NULL,
    ended_at      timestamp,
    cursor        text        NOT NULL, -- the last customer who was looked at
    looked_at     bigint      NOT NULL CHECK (looked_at >= 0),
    undeliverable bigint      NOT NULL CHECK (undeliverable >= 0),
    unresponsive  bigint      NOT NULL CHECK (unresponsive >= 0),
    asked         bigint      NOT NULL CHECK (asked >= 0),
    expired       bigint      NOT NULL CHECK (expired >= 0)
);
CREATE INDEX customers_undelivered ON customers (undelivered) WHERE undelivered > 0;

-- +goose Down
DROP INDEX customers_undelivered;
DROP TABLE hygiene_rounds;
DROP INDEX handoffs_question;
DELETE FROM handoffs WHERE run_id = '';
DROP INDEX handoffs_effect;
CREATE UNIQUE INDEX handoffs_effect ON handoffs (run_id, step);
ALTER TABLE handoffs DROP COLUMN message_id;
ALTER TABLE handoffs DROP COLUMN mutes;
ALTER TABLE customers DROP COLUMN undelivered;
DROP TABLE message_decisions;
