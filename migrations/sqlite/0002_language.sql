-- What the rest of the language's steps keep: a person who has taken over, the answers of other systems, and how far a
-- schedule has come. Customers get the zone by which schedules find them.

-- +goose Up
ALTER TABLE customers ADD COLUMN zone text NOT NULL DEFAULT ''; -- IANA, as far as it is known; empty: the program's
ALTER TABLE customers ADD COLUMN muted_until timestamp;       -- a person has taken over
ALTER TABLE events ADD COLUMN target text NOT NULL DEFAULT ''; -- the one way into a journey that an event of ours is for
CREATE INDEX customers_zone ON customers (zone, id);

CREATE INDEX runs_stuck ON runs (id) WHERE status = 'stuck';

CREATE TABLE handoffs (
    id          text        NOT NULL PRIMARY KEY,
    customer_id text        NOT NULL REFERENCES customers (id),
    run_id      text        NOT NULL,
    step        integer     NOT NULL,
    note        text        NOT NULL,
    opened_at   timestamp NOT NULL,
    until       timestamp NOT NULL,
    closed_at   timestamp,
    closed_by   text        NOT NULL,
    CHECK (closed_at IS NULL OR closed_by <> '')
);
CREATE UNIQUE INDEX handoffs_effect ON handoffs (run_id, step);
CREATE INDEX handoffs_open ON handoffs (id) WHERE closed_at IS NULL;
CREATE INDEX handoffs_customer ON handoffs (customer_id);

CREATE TABLE call_answers (
    run_id  text        NOT NULL REFERENCES runs (id),
    step    integer     NOT NULL,
    call    text        NOT NULL,
    answers text       NOT NULL,
    at      timestamp NOT NULL,
    PRIMARY KEY (run_id, step)
);

-- One row a schedule, slot and zone: the last customer that was looked at, so that a kill goes on and not back.
CREATE TABLE schedule_slots (
    journey    text        NOT NULL,
    entry      integer     NOT NULL, -- the place among the journey's ways in
    zone       text        NOT NULL,
    slot       text        NOT NULL, -- 2006-01-02
    cursor     text        NOT NULL,
    looked_at  bigint      NOT NULL,
    entered    bigint      NOT NULL,
    started_at timestamp NOT NULL,
    ended_at   timestamp,
    PRIMARY KEY (journey, entry, zone, slot)
);

-- +goose Down
DROP TABLE schedule_slots;
DROP TABLE call_answers;
DROP TABLE handoffs;
ALTER TABLE events DROP COLUMN target;
DROP INDEX runs_stuck;
DROP INDEX customers_zone;
ALTER TABLE customers DROP COLUMN muted_until;
ALTER TABLE customers DROP COLUMN zone;
