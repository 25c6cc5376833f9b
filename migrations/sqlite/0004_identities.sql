-- Who a customer is: names that were given up are kept with their time, so that a late webhook still finds whom it is about
-- and nobody is written to by them; two customers who prove to be one person become one. What WhatsApp says of a message is
-- kept on its row, so that it can be counted: when it was sent, delivered, read or failed, and what it cost.

-- +goose Up
CREATE TABLE identities_new (
    kind        text        NOT NULL CHECK (kind IN ('phone', 'user_id', 'parent_user_id', 'external')),
    value       text        NOT NULL CHECK (value <> ''),
    customer_id text        NOT NULL REFERENCES customers (id),
    created_at  timestamp NOT NULL,
    retired_at  timestamp, -- when the name was given up; it is not written to any more
    PRIMARY KEY (kind, value, customer_id)
);
INSERT INTO identities_new (kind, value, customer_id, created_at) SELECT kind, value, customer_id, created_at FROM identities;
DROP TABLE identities;
ALTER TABLE identities_new RENAME TO identities;
CREATE INDEX identities_customer ON identities (customer_id);
-- A name is one person's at a time: a number goes to somebody else when its owner has given it up.
CREATE UNIQUE INDEX identities_live ON identities (kind, value) WHERE retired_at IS NULL;

-- A customer who turned out to be another one: the row stays, so that its id in addresses, logs and answers leads to who they are now.
ALTER TABLE customers ADD COLUMN merged_into text REFERENCES customers (id) CHECK (merged_into <> id);
ALTER TABLE customers ADD COLUMN merged_at timestamp;
CREATE INDEX customers_merged ON customers (merged_into) WHERE merged_into IS NOT NULL;

ALTER TABLE messages ADD COLUMN sent_at timestamp; -- as WhatsApp says; a status may be skipped, and then its time stays empty
ALTER TABLE messages ADD COLUMN delivered_at timestamp;
ALTER TABLE messages ADD COLUMN read_at timestamp;
ALTER TABLE messages ADD COLUMN failed_at timestamp;
ALTER TABLE messages ADD COLUMN price_category text NOT NULL DEFAULT ''; -- marketing, utility, service …; empty until WhatsApp says
ALTER TABLE messages ADD COLUMN price_type text NOT NULL DEFAULT ''; -- regular, free_customer_service, free_entry_point
ALTER TABLE messages ADD COLUMN billable boolean; -- null until WhatsApp says
ALTER TABLE messages ADD COLUMN first_text text; -- of a message that its writer changed: what it said first
ALTER TABLE messages ADD COLUMN edited_at timestamp;
ALTER TABLE messages ADD COLUMN revoked_at timestamp; -- its writer took it back
ALTER TABLE messages ADD COLUMN media_id text NOT NULL DEFAULT ''; -- WhatsApp's, good for seven days
ALTER TABLE messages ADD COLUMN media_type text NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN filename text NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN referral text; -- the advertisement that an inbound message came from
ALTER TABLE messages ADD COLUMN items text; -- of an inbound order

-- How often WhatsApp sent a kind of webhook that this version has no use for.
CREATE TABLE unknown_webhooks (
    field    text   NOT NULL PRIMARY KEY,
    times    bigint NOT NULL CHECK (times > 0),
    first_at timestamp NOT NULL,
    last_at  timestamp NOT NULL
);
CREATE INDEX inbox_parked ON inbox (id) WHERE status = 'parked';

-- +goose Down
DROP INDEX inbox_parked;
DROP TABLE unknown_webhooks;
ALTER TABLE messages DROP COLUMN items;
ALTER TABLE messages DROP COLUMN referral;
ALTER TABLE messages DROP COLUMN filename;
ALTER TABLE messages DROP COLUMN media_type;
ALTER TABLE messages DROP COLUMN media_id;
ALTER TABLE messages DROP COLUMN revoked_at;
ALTER TABLE messages DROP COLUMN edited_at;
ALTER TABLE messages DROP COLUMN first_text;
ALTER TABLE messages DROP COLUMN billable;
ALTER TABLE messages DROP COLUMN price_type;
ALTER TABLE messages DROP COLUMN price_category;
ALTER TABLE messages DROP COLUMN failed_at;
ALTER TABLE messages DROP COLUMN read_at;
ALTER TABLE messages DROP COLUMN delivered_at;
ALTER TABLE messages DROP COLUMN sent_at;
DROP INDEX customers_merged;
ALTER TABLE customers DROP COLUMN merged_at;
ALTER TABLE customers DROP COLUMN merged_into;
DELETE FROM identities WHERE retired_at IS NOT NULL OR kind = 'parent_user_id';
CREATE TABLE identities_old (
    kind        text        NOT NULL CHECK (kind IN ('phone', 'user_id', 'external')),
    value       text        NOT NULL CHECK (value <> ''),
    customer_id text        NOT NULL REFERENCES customers (id),
    created_at  timestamp NOT NULL,
    PRIMARY KEY (kind, value)
);
INSERT INTO identities_old (kind, value, customer_id, created_at) SELECT kind, value, customer_id, created_at FROM identities;
DROP TABLE identities;
ALTER TABLE identities_old RENAME TO identities;
CREATE INDEX identities_customer ON identities (customer_id);
