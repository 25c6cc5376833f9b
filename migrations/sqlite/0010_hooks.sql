-- Outgoing webhooks: other systems' addresses, what they are told of, and each event on its way to each of them. An event is
-- committed with the fact that it tells. It names the customer by our id alone: the backend's is looked up when it is sent, so that
-- erasing a customer leaves nothing of theirs here.
--
-- And who brought whom. A friend is somebody's once, and two customers are a pair once, whichever of them came first: the two unique
-- indexes say so whatever happens at the same time. What is refused is kept beside, with the reason.

-- +goose Up
CREATE TABLE hooks (
    id            text        NOT NULL PRIMARY KEY,
    url           text        NOT NULL,
    types         text        NOT NULL,
    note          text        NOT NULL,
    secret        text        NOT NULL,
    former        text        NOT NULL,
    former_until  timestamp,
    created_at    timestamp NOT NULL,
    failing_since timestamp,
    disabled_at   timestamp,
    disabled      text        NOT NULL,
    removed_at    timestamp
);
CREATE TABLE hook_events (
    seq         integer     PRIMARY KEY AUTOINCREMENT,
    id          text        NOT NULL UNIQUE,
    type        text        NOT NULL,
    customer_id text        NOT NULL,
    data        text        NOT NULL,
    at          timestamp NOT NULL
);
CREATE INDEX hook_events_at ON hook_events (at);
CREATE TABLE hook_deliveries (
    id           integer     PRIMARY KEY AUTOINCREMENT,
    event_seq    integer     NOT NULL REFERENCES hook_events (seq) ON DELETE CASCADE,
    hook_id      text        NOT NULL REFERENCES hooks (id),
    status       text        NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    attempts     integer     NOT NULL CHECK (attempts >= 0),
    due_at       timestamp NOT NULL,
    claimed_by   text        NOT NULL,
    code         integer     NOT NULL,
    error        text        NOT NULL,
    tried_at     timestamp,
    delivered_at timestamp,
    UNIQUE (event_seq, hook_id)
);
CREATE INDEX hook_deliveries_due ON hook_deliveries (hook_id, due_at) WHERE status = 'pending';
CREATE INDEX hook_deliveries_hook ON hook_deliveries (hook_id, status, id);

CREATE TABLE referral_codes (
    code        text        NOT NULL PRIMARY KEY,
    customer_id text        NOT NULL REFERENCES customers (id),
    created_at  timestamp NOT NULL
);
CREATE INDEX referral_codes_customer ON referral_codes (customer_id, created_at);
CREATE TABLE referrals (
    id           text        NOT NULL PRIMARY KEY,
    code         text        NOT NULL,
    referrer_id  text        REFERENCES customers (id),
    friend_id    text        NOT NULL REFERENCES customers (id),
    pair         text        NOT NULL,
    status       text        NOT NULL CHECK (status IN ('attributed', 'completed', 'reversed', 'refused')),
    reason       text        NOT NULL,
    source       text        NOT NULL,
    event_id     text        NOT NULL,
    at           timestamp NOT NULL,
    completed_at timestamp,
    ended_at     timestamp,
    CHECK (status = 'refused' OR referrer_id IS NOT NULL AND referrer_id <> friend_id),
    CHECK ((status = 'refused') = (reason <> '')),
    CHECK (status NOT IN ('completed', 'reversed') OR event_id <> '' AND completed_at IS NOT NULL)
);
CREATE UNIQUE INDEX referrals_friend ON referrals (friend_id) WHERE status <> 'refused';
CREATE UNIQUE INDEX referrals_pair ON referrals (pair) WHERE status <> 'refused';
CREATE INDEX referrals_referrer ON referrals (referrer_id, status, completed_at);
CREATE INDEX referrals_of_friend ON referrals (friend_id, at);
CREATE INDEX referrals_status ON referrals (status, id);
CREATE INDEX referrals_event ON referrals (event_id) WHERE status = 'completed';

-- +goose Down
DROP TABLE referrals;
DROP TABLE referral_codes;
DROP TABLE hook_deliveries;
DROP TABLE hook_events;
DROP TABLE hooks;
