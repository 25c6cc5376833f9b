-- Points can be taken back, adjusted and merged, and what is taken back and is not there becomes a debt. An account knows when
-- time next does something to it, so that a job finds in an index whom it has to look at. The tier is kept, because it
-- outlives the points by a grace. Every account there is, is due at once: the job's first round gives it its tier and its next time.

-- +goose Up
ALTER TABLE points ADD COLUMN debt bigint NOT NULL DEFAULT 0 CHECK (debt >= 0 AND (debt = 0 OR available = 0));
ALTER TABLE points ADD COLUMN tier text NOT NULL DEFAULT '';
ALTER TABLE points ADD COLUMN tier_until timestamptz;
ALTER TABLE points ADD COLUMN tier_due_at timestamptz;
ALTER TABLE points ADD COLUMN due_at timestamptz;
ALTER TABLE points ADD COLUMN announced bigint NOT NULL DEFAULT 0;
UPDATE points SET due_at = '2000-01-01 00:00:00+00:00', announced = COALESCE((SELECT MAX(id) FROM ledger_entries), 0);
CREATE INDEX points_due ON points (due_at, customer_id) WHERE due_at IS NOT NULL;

ALTER TABLE points_lots ADD COLUMN expired bigint NOT NULL DEFAULT 0 CHECK (expired >= 0 AND remaining + expired <= points);
ALTER TABLE points_lots ADD COLUMN forgiven bigint NOT NULL DEFAULT 0 CHECK (forgiven >= 0 AND forgiven <= expired);
ALTER TABLE points_lots ADD COLUMN reversed bigint NOT NULL DEFAULT 0 CHECK (reversed >= 0 AND reversed <= points);
ALTER TABLE points_lots ADD COLUMN warned boolean NOT NULL DEFAULT false;
ALTER TABLE points_lots ADD COLUMN graced boolean NOT NULL DEFAULT false;
ALTER TABLE points_lots ADD COLUMN ref text NOT NULL DEFAULT '';
UPDATE points_lots SET
    ref = COALESCE((SELECT e.ref FROM ledger_entries e WHERE e.lot_id = points_lots.id AND e.kind = 'earn'), ''),
    expired = COALESCE((SELECT SUM(e.points) FROM ledger_entries e WHERE e.lot_id = points_lots.id AND e.kind = 'expire'), 0);
CREATE INDEX points_lots_ref ON points_lots (ref);

ALTER TABLE points_holds ADD COLUMN grace bigint NOT NULL DEFAULT 0 CHECK (grace >= 0); -- nanoseconds

ALTER TABLE ledger_entries ALTER COLUMN lot_id DROP NOT NULL;
ALTER TABLE ledger_entries ADD COLUMN author text NOT NULL DEFAULT '';
ALTER TABLE ledger_entries ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_check;
ALTER TABLE ledger_entries ADD CHECK (kind || ' ' || from_account || ' ' || to_account IN (
    'earn outside pending', 'earn outside available', 'mature pending available', 'hold available held',
    'capture held outside', 'release held available', 'expire available outside',
    'reverse pending outside', 'reverse available outside', 'reverse debt outside', 'repay available debt',
    'adjust outside available', 'adjust available outside', 'adjust debt outside',
    'merge pending outside', 'merge available outside', 'merge held outside', 'merge outside debt',
    'merge outside pending', 'merge outside available', 'merge outside held', 'merge debt outside'));
ALTER TABLE ledger_entries ADD CHECK (lot_id IS NOT NULL OR 'debt' IN (from_account, to_account));
ALTER TABLE ledger_entries ADD CHECK (kind <> 'adjust' OR author <> '' AND note <> '');
CREATE INDEX ledger_entries_at ON ledger_entries (customer_id, at, id);
CREATE TRIGGER ledger_entries_never_emptied BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Events that can be undone, by the property that names them, and the events that undid them. A reversal without an origin waits
-- for it: the refund came before the order.
CREATE TABLE points_origins (
    event_id    text        NOT NULL,
    property    text        NOT NULL,
    customer_id text        NOT NULL REFERENCES customers (id),
    event       text        NOT NULL,
    value       text        NOT NULL,
    seq         bigint      NOT NULL,
    occurred_at timestamptz NOT NULL,
    sums        jsonb NOT NULL,
    reversed    bigint      NOT NULL CHECK (reversed >= 0 AND reversed <= 1000000000),
    PRIMARY KEY (event_id, property)
);
CREATE INDEX points_origins_value ON points_origins (customer_id, event, property, value);
CREATE TABLE points_reversals (
    event_id    text        NOT NULL,
    event       text        NOT NULL,
    property    text        NOT NULL,
    customer_id text        NOT NULL REFERENCES customers (id),
    value       text        NOT NULL,
    origin_id   text        NOT NULL,
    share       bigint      NOT NULL CHECK (share >= 0 AND share <= 1000000000),
    points      bigint      NOT NULL CHECK (points >= 0),
    debt        bigint      NOT NULL CHECK (debt >= 0 AND debt <= points),
    at          timestamptz NOT NULL,
    PRIMARY KEY (event_id, event, property)
);
CREATE INDEX points_reversals_waiting ON points_reversals (customer_id, event, property, value) WHERE origin_id = '';

-- Runs that are open, in the order in which a job looks whether Temporal still has them.
CREATE INDEX runs_open ON runs (id) WHERE ended_at IS NULL;

-- +goose Down
DROP INDEX runs_open;
DROP TABLE points_reversals, points_origins;
DROP TRIGGER ledger_entries_never_emptied ON ledger_entries;
DROP INDEX ledger_entries_at;
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_check, DROP CONSTRAINT ledger_entries_check1, DROP CONSTRAINT ledger_entries_check2;
ALTER TABLE ledger_entries DROP COLUMN note, DROP COLUMN author, ALTER COLUMN lot_id SET NOT NULL,
    ADD CHECK (kind || ' ' || from_account || ' ' || to_account IN (
        'earn outside pending', 'earn outside available', 'mature pending available', 'hold available held',
        'capture held outside', 'release held available', 'expire available outside'));
ALTER TABLE points_holds DROP COLUMN grace;
DROP INDEX points_lots_ref;
ALTER TABLE points_lots DROP COLUMN ref, DROP COLUMN graced, DROP COLUMN warned, DROP COLUMN reversed, DROP COLUMN forgiven, DROP COLUMN expired;
DROP INDEX points_due;
ALTER TABLE points DROP COLUMN announced, DROP COLUMN due_at, DROP COLUMN tier_due_at, DROP COLUMN tier_until, DROP COLUMN tier, DROP COLUMN debt;
