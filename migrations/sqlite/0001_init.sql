-- The whole house: programs, customers, events and their routing, consent, runs, rewards, points, messages.
-- Both dialects have the same numbers and the same tables; a test compares them.

-- +goose Up
CREATE TABLE programs (
    version      integer     PRIMARY KEY CHECK (version > 0),
    hash         text        NOT NULL,
    files        text       NOT NULL,
    published_at timestamp NOT NULL
);

-- What this deployment is: the clock's anchor and speed.
CREATE TABLE settings (
    name  text NOT NULL PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE api_keys (
    id         text        NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    hash       text        NOT NULL UNIQUE, -- SHA-256 of the secret: the secret itself is shown once and never kept
    created_at timestamp NOT NULL,
    revoked_at timestamp
);

CREATE TABLE customers (
    id         text        NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    language   text        NOT NULL,
    timezone   text        NOT NULL,
    country    text        NOT NULL,
    attributes text       NOT NULL,
    labels     text       NOT NULL,
    since      timestamp NOT NULL,
    created_at timestamp NOT NULL
);

CREATE TABLE identities (
    kind        text        NOT NULL CHECK (kind IN ('phone', 'user_id', 'external')),
    value       text        NOT NULL CHECK (value <> ''),
    customer_id text        NOT NULL REFERENCES customers (id),
    created_at  timestamp NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE INDEX identities_customer ON identities (customer_id);

CREATE TABLE events (
    seq         integer      PRIMARY KEY AUTOINCREMENT,
    id          text        NOT NULL UNIQUE,
    customer_id text        NOT NULL REFERENCES customers (id),
    name        text        NOT NULL,
    properties  text       NOT NULL,
    profile     text       NOT NULL,
    occurred_at timestamp NOT NULL,
    received_at timestamp NOT NULL,
    depth       integer     NOT NULL CHECK (depth >= 0),
    status      text        NOT NULL CHECK (status IN ('pending', 'routed', 'parked')),
    attempts    integer     NOT NULL,
    error       text        NOT NULL,
    routed_at   timestamp,
    CHECK ((status = 'routed') = (routed_at IS NOT NULL)),
    CHECK (status <> 'parked' OR error <> '')
);
CREATE INDEX events_pending ON events (customer_id, seq) WHERE status = 'pending';
CREATE INDEX events_customer ON events (customer_id, seq);
CREATE INDEX events_parked ON events (seq) WHERE status = 'parked';

-- Customers with events to route: the queue that dispatch claims from. A row outlives its claim until no event is pending.
CREATE TABLE pending_customers (
    customer_id text        NOT NULL PRIMARY KEY REFERENCES customers (id),
    due_at      timestamp NOT NULL, -- machine time: claims and retries are about machines
    claimed_by  text        NOT NULL
);
CREATE INDEX pending_customers_due ON pending_customers (due_at);

-- times() and total(): for life, and by day. The field is empty for the number of events, else a numeric property.
-- Sums are in ten-thousandths, so that adding is exact.
CREATE TABLE event_totals (
    customer_id text        NOT NULL REFERENCES customers (id),
    event       text        NOT NULL,
    field       text        NOT NULL,
    amount      bigint      NOT NULL,
    last_seq    bigint      NOT NULL,
    PRIMARY KEY (customer_id, event, field)
);
CREATE TABLE event_days (
    customer_id text   NOT NULL REFERENCES customers (id),
    event       text   NOT NULL,
    field       text   NOT NULL,
    day         text   NOT NULL, -- 2006-01-02, UTC
    amount      bigint NOT NULL,
    PRIMARY KEY (customer_id, event, field, day)
);

CREATE TABLE milestones_reached (
    customer_id text        NOT NULL REFERENCES customers (id),
    milestone   text        NOT NULL,
    nth         bigint      NOT NULL CHECK (nth > 0),
    at          timestamp NOT NULL,
    PRIMARY KEY (customer_id, milestone, nth)
);

-- How often an earn rule with a limit has earned: one line an earning, so that a window can be counted.
CREATE TABLE earnings (
    customer_id text        NOT NULL REFERENCES customers (id),
    rule        text        NOT NULL,
    event_id    text        NOT NULL,
    at          timestamp NOT NULL,
    PRIMARY KEY (customer_id, rule, event_id)
);

CREATE TABLE consent_entries (
    id               integer      PRIMARY KEY AUTOINCREMENT,
    customer_id      text        NOT NULL REFERENCES customers (id),
    topic            text        NOT NULL,
    standing         text        NOT NULL CHECK (standing IN ('requested', 'granted', 'refused', 'revoked', 'expired')),
    at               timestamp NOT NULL,
    source           text        NOT NULL CHECK (source <> ''),
    wording          text        NOT NULL,
    wording_language text        NOT NULL,
    wording_version  text        NOT NULL,
    message_id       text        NOT NULL,
    reply_id         text        NOT NULL,
    event_id         text        NOT NULL,
    run_id           text        NOT NULL
);
CREATE INDEX consent_entries_customer ON consent_entries (customer_id, id);

CREATE TABLE consent_states (
    customer_id text        NOT NULL REFERENCES customers (id),
    topic       text        NOT NULL,
    standing    text        NOT NULL CHECK (standing IN ('requested', 'granted', 'refused', 'revoked', 'expired')),
    at          timestamp NOT NULL,
    entry_id    bigint      NOT NULL REFERENCES consent_entries (id),
    PRIMARY KEY (customer_id, topic)
);

CREATE TABLE runs (
    id          text             NOT NULL PRIMARY KEY,
    journey     text             NOT NULL,
    version     integer          NOT NULL CHECK (version >= 0), -- 0: a built-in journey
    customer_id text             NOT NULL REFERENCES customers (id),
    "key"       text             NOT NULL,
    request     text             NOT NULL, -- the hash of the Idempotency-Key it was asked for with; empty: none
    event_id    text             NOT NULL,
    entry       text            NOT NULL,
    entry_event text             NOT NULL,
    bound       text            NOT NULL,
    listener    text,
    issued      integer          NOT NULL CHECK (issued >= 0),
    step        integer          NOT NULL CHECK (step >= 0),
    node        text             NOT NULL,
    status      text             NOT NULL CHECK (status IN ('live', 'held', 'stuck', 'ended')),
    reason      text             NOT NULL,
    outcome     text             NOT NULL,
    goal        boolean          NOT NULL,
    value       real NOT NULL,
    depth       integer          NOT NULL,
    started_at  timestamp      NOT NULL,
    updated_at  timestamp      NOT NULL,
    ended_at    timestamp,
    CHECK ((status = 'ended') = (ended_at IS NOT NULL)),
    CHECK ((status = 'ended') = (outcome <> ''))
);
-- One live run per journey, customer and key.
CREATE UNIQUE INDEX runs_live ON runs (journey, customer_id, key) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX runs_request ON runs (request) WHERE request <> '';
CREATE INDEX runs_customer ON runs (customer_id, started_at);
CREATE INDEX runs_held ON runs (journey) WHERE status = 'held';

CREATE TABLE run_steps (
    run_id  text        NOT NULL REFERENCES runs (id),
    step    integer     NOT NULL CHECK (step > 0),
    node    text        NOT NULL,
    label   text        NOT NULL,
    outcome text        NOT NULL,
    code    text        NOT NULL,
    result  text       NOT NULL,
    at      timestamp NOT NULL,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE waiting_entries (
    journey     text        NOT NULL,
    customer_id text        NOT NULL REFERENCES customers (id),
    "key"       text        NOT NULL,
    event_id    text        NOT NULL,
    entry_event text        NOT NULL,
    entry       text       NOT NULL,
    at          timestamp NOT NULL,
    PRIMARY KEY (journey, customer_id, key)
);

-- What Temporal is still to be told. A row is deleted when Temporal has it; until then no later row of its run goes.
CREATE TABLE outbox (
    seq        integer      PRIMARY KEY AUTOINCREMENT,
    run_id     text        NOT NULL REFERENCES runs (id),
    number     integer     NOT NULL CHECK (number >= 0), -- 0: the start; else the signal's number
    signal     text,
    due_at     timestamp NOT NULL, -- machine time
    claimed_by text        NOT NULL,
    attempts   integer     NOT NULL,
    error      text        NOT NULL,
    UNIQUE (run_id, number)
);
CREATE INDEX outbox_due ON outbox (due_at, seq);

CREATE TABLE approvals (
    id          text        NOT NULL PRIMARY KEY,
    run_id      text        NOT NULL REFERENCES runs (id),
    step        integer     NOT NULL,
    customer_id text        NOT NULL REFERENCES customers (id),
    title       text        NOT NULL,
    status      text        NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'lapsed')),
    "by"        text        NOT NULL,
    note        text        NOT NULL,
    created_at  timestamp NOT NULL,
    decided_at  timestamp,
    UNIQUE (run_id, step),
    CHECK ((status = 'pending') = (decided_at IS NULL))
);
CREATE INDEX approvals_pending ON approvals (created_at) WHERE status = 'pending';

CREATE TABLE points (
    customer_id text   NOT NULL PRIMARY KEY REFERENCES customers (id),
    available   bigint NOT NULL CHECK (available >= 0),
    pending     bigint NOT NULL CHECK (pending >= 0),
    held        bigint NOT NULL CHECK (held >= 0),
    earned      bigint NOT NULL CHECK (earned >= 0)
);

CREATE TABLE points_lots (
    id          integer      PRIMARY KEY AUTOINCREMENT,
    customer_id text        NOT NULL REFERENCES customers (id),
    points      bigint      NOT NULL CHECK (points > 0),
    remaining   bigint      NOT NULL CHECK (remaining >= 0 AND remaining <= points),
    matured     boolean     NOT NULL,
    source      text        NOT NULL,
    earned_at   timestamp NOT NULL,
    matures_at  timestamp NOT NULL,
    expires_at  timestamp
);
CREATE INDEX points_lots_open ON points_lots (customer_id, id) WHERE remaining > 0;
CREATE INDEX points_lots_earned ON points_lots (customer_id, earned_at);

CREATE TABLE ledger_entries (
    id           integer      PRIMARY KEY AUTOINCREMENT,
    customer_id  text        NOT NULL REFERENCES customers (id),
    kind         text        NOT NULL,
    from_account text        NOT NULL,
    to_account   text        NOT NULL,
    points       bigint      NOT NULL CHECK (points > 0),
    lot_id       bigint      NOT NULL REFERENCES points_lots (id),
    ref          text        NOT NULL,
    "key"        text        NOT NULL UNIQUE,
    at           timestamp NOT NULL,
    CHECK (kind || ' ' || from_account || ' ' || to_account IN (
        'earn outside pending', 'earn outside available', 'mature pending available', 'hold available held',
        'capture held outside', 'release held available', 'expire available outside'))
);
CREATE INDEX ledger_entries_customer ON ledger_entries (customer_id, id);

CREATE TABLE grants (
    id            text             NOT NULL PRIMARY KEY,
    customer_id   text             NOT NULL REFERENCES customers (id),
    reward        text             NOT NULL,
    version       integer          NOT NULL,
    run_id        text             NOT NULL,
    redemption_id text             NOT NULL,
    code          text             NOT NULL,
    captured_by   text             NOT NULL,
    status        text             NOT NULL CHECK (status IN ('held', 'given', 'captured', 'released')),
    cost          bigint           NOT NULL CHECK (cost >= 0),
    value         real NOT NULL,
    created_at    timestamp      NOT NULL,
    expires_at    timestamp,
    ended_at      timestamp,
    CHECK ((status IN ('captured', 'released')) = (ended_at IS NOT NULL))
);
CREATE INDEX grants_customer ON grants (customer_id, created_at);
CREATE INDEX grants_reward ON grants (reward, created_at);
CREATE INDEX grants_run ON grants (run_id) WHERE status = 'held';

CREATE TABLE points_holds (
    grant_id    text        NOT NULL PRIMARY KEY REFERENCES grants (id),
    customer_id text        NOT NULL REFERENCES customers (id),
    points      bigint      NOT NULL CHECK (points > 0),
    parts       text       NOT NULL,
    status      text        NOT NULL CHECK (status IN ('held', 'captured', 'released')),
    created_at  timestamp NOT NULL
);

-- A code goes to one grant only. What was taken keeps its grant for ever, so it is never pooled again.
CREATE TABLE reward_codes (
    code       text        NOT NULL PRIMARY KEY CHECK (code <> ''),
    reward     text        NOT NULL,
    grant_id   text        UNIQUE REFERENCES grants (id),
    created_at timestamp NOT NULL
);
CREATE INDEX reward_codes_free ON reward_codes (reward, code) WHERE grant_id IS NULL;

-- One row a reward with a limit over all customers: locked while its grants are counted.
CREATE TABLE reward_locks (
    reward text NOT NULL PRIMARY KEY
);

CREATE TABLE redemptions (
    id          text        NOT NULL PRIMARY KEY,
    customer_id text        NOT NULL REFERENCES customers (id),
    reward      text        NOT NULL,
    request     text        NOT NULL,
    run_id      text        NOT NULL,
    grant_id    text        NOT NULL,
    status      text        NOT NULL CHECK (status IN ('requested', 'held', 'refused', 'captured', 'released')),
    reason      text        NOT NULL,
    created_at  timestamp NOT NULL,
    ended_at    timestamp,
    CHECK ((status IN ('refused', 'captured', 'released')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX redemptions_request ON redemptions (request) WHERE request <> '';
CREATE INDEX redemptions_customer ON redemptions (customer_id, created_at);

CREATE TABLE messages (
    id          text        NOT NULL PRIMARY KEY,
    customer_id text        NOT NULL REFERENCES customers (id),
    run_id      text        NOT NULL, -- empty for an inbound one
    step        integer     NOT NULL,
    direction   text        NOT NULL CHECK (direction IN ('in', 'out')),
    kind        text        NOT NULL,
    template    text        NOT NULL,
    category    text        NOT NULL,
    language    text        NOT NULL,
    topic       text        NOT NULL,
    text        text        NOT NULL,
    version     text        NOT NULL,
    wamid       text        UNIQUE,
    reply_to    text        NOT NULL,
    status      text        NOT NULL CHECK (status IN ('received', 'deferred', 'suppressed', 'sending', 'unknown', 'accepted',
                                                       'sent', 'delivered', 'read', 'failed')),
    reason      text        NOT NULL,
    error_code  integer     NOT NULL,
    attempts    integer     NOT NULL, -- how often it was handed to WhatsApp
    grant_id    text        NOT NULL,
    created_at  timestamp NOT NULL,
    updated_at  timestamp NOT NULL,
    retry_at    timestamp,
    handed_at   timestamp,
    CHECK ((direction = 'in') = (status = 'received'))
);
-- One message an effect: what makes a send happen once.
CREATE UNIQUE INDEX messages_effect ON messages (run_id, step) WHERE direction = 'out';
CREATE INDEX messages_customer ON messages (customer_id, created_at);
CREATE INDEX messages_handed ON messages (customer_id, category, handed_at);

-- Webhooks as they came: committed before they are acknowledged.
CREATE TABLE inbox (
    id           integer      PRIMARY KEY AUTOINCREMENT,
    body         blob       NOT NULL,
    received_at  timestamp NOT NULL,
    status       text        NOT NULL CHECK (status IN ('pending', 'done', 'parked')),
    attempts     integer     NOT NULL,
    error        text        NOT NULL,
    due_at       timestamp NOT NULL -- machine time
);
CREATE INDEX inbox_pending ON inbox (id) WHERE status = 'pending';

-- What is paused or stopped now, whatever version a run has.
CREATE TABLE switches (
    kind   text        NOT NULL CHECK (kind IN ('journey', 'entry', 'template', 'reward')),
    name   text        NOT NULL,
    reason text        NOT NULL,
    at     timestamp NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Answers to requests that bore an Idempotency-Key.
CREATE TABLE idempotency_keys (
    "key"        text        NOT NULL,
    route        text        NOT NULL,
    request_hash text        NOT NULL,
    status       integer     NOT NULL,
    body         text        NOT NULL,
    at           timestamp NOT NULL,
    PRIMARY KEY (key, route)
);

-- Two logs that nobody may rewrite.
-- +goose StatementBegin
CREATE TRIGGER consent_entries_no_update BEFORE UPDATE ON consent_entries
BEGIN
    SELECT RAISE(ABORT, 'consent_entries is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER consent_entries_no_delete BEFORE DELETE ON consent_entries
BEGIN
    SELECT RAISE(ABORT, 'consent_entries is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_entries_no_update BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'ledger_entries is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'ledger_entries is append-only');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE switches;
DROP TABLE inbox;
DROP TABLE messages;
DROP TABLE redemptions;
DROP TABLE reward_locks;
DROP TABLE reward_codes;
DROP TABLE points_holds;
DROP TABLE grants;
DROP TABLE ledger_entries;
DROP TABLE points_lots;
DROP TABLE points;
DROP TABLE approvals;
DROP TABLE outbox;
DROP TABLE waiting_entries;
DROP TABLE run_steps;
DROP TABLE runs;
DROP TABLE consent_states;
DROP TABLE consent_entries;
DROP TABLE earnings;
DROP TABLE milestones_reached;
DROP TABLE event_days;
DROP TABLE event_totals;
DROP TABLE pending_customers;
DROP TABLE events;
DROP TABLE identities;
DROP TABLE customers;
DROP TABLE api_keys;
DROP TABLE settings;
DROP TABLE programs;
