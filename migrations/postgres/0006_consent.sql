-- Consent that stands up to an audit. The log gets when a thing happened beside when it was recorded, by which channel it came,
-- who imported or ordered it, and where further evidence is kept. Standings are derived from it by when things happened.
--
-- The log stays append-only. The one exception is for erasure: an entry may be blanked once, by an update that sets erased_at and
-- empties what names or quotes the person (the wording that was rendered for them, WhatsApp's ids, the outside reference, the
-- key of an imported line) and changes nothing else. What was agreed to, when and how, stays.

-- +goose Up
DROP TRIGGER consent_entries_append_only ON consent_entries;
ALTER TABLE consent_entries
    ADD COLUMN occurred_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    ADD COLUMN channel     text        NOT NULL DEFAULT '',
    ADD COLUMN everything  boolean     NOT NULL DEFAULT false,
    ADD COLUMN recorded_by text        NOT NULL DEFAULT '',
    ADD COLUMN reference   text        NOT NULL DEFAULT '',
    ADD COLUMN import_key  text,
    ADD COLUMN erased_at   timestamptz;
UPDATE consent_entries SET occurred_at = at,
    channel = CASE WHEN reply_id <> '' OR source LIKE 'keyword.%' OR source LIKE 'whatsapp.%' OR source IN ('reply', 'stop') THEN 'whatsapp' ELSE 'api' END,
    everything = standing = 'revoked';
CREATE UNIQUE INDEX consent_entries_import ON consent_entries (import_key) WHERE import_key IS NOT NULL;

ALTER TABLE consent_states ADD COLUMN occurred_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';
UPDATE consent_states SET occurred_at = at;

ALTER TABLE messages ADD COLUMN said_at timestamptz; -- inbound: when the customer said it, which may be long before it came

-- +goose StatementBegin
CREATE FUNCTION consent_entries_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL
            AND NEW.wording = '' AND NEW.message_id = '' AND NEW.reply_id = '' AND NEW.reference = '' AND NEW.import_key IS NULL
            AND (NEW.id, NEW.customer_id, NEW.topic, NEW.standing, NEW.at, NEW.occurred_at, NEW.source, NEW.channel, NEW.everything,
                 NEW.wording_language, NEW.wording_version, NEW.event_id, NEW.run_id, NEW.recorded_by)
              = (OLD.id, OLD.customer_id, OLD.topic, OLD.standing, OLD.at, OLD.occurred_at, OLD.source, OLD.channel, OLD.everything,
                 OLD.wording_language, OLD.wording_version, OLD.event_id, OLD.run_id, OLD.recorded_by) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'consent_entries is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER consent_entries_append_only BEFORE UPDATE OR DELETE ON consent_entries
    FOR EACH ROW EXECUTE FUNCTION consent_entries_change();
CREATE TRIGGER consent_entries_no_truncate BEFORE TRUNCATE ON consent_entries
    FOR EACH STATEMENT EXECUTE FUNCTION consent_entries_change();

-- +goose Down
DROP TRIGGER consent_entries_no_truncate ON consent_entries;
DROP TRIGGER consent_entries_append_only ON consent_entries;
DROP FUNCTION consent_entries_change();
ALTER TABLE messages DROP COLUMN said_at;
ALTER TABLE consent_states DROP COLUMN occurred_at;
DROP INDEX consent_entries_import;
ALTER TABLE consent_entries DROP COLUMN erased_at, DROP COLUMN import_key, DROP COLUMN reference, DROP COLUMN recorded_by,
    DROP COLUMN everything, DROP COLUMN channel, DROP COLUMN occurred_at;
CREATE TRIGGER consent_entries_append_only BEFORE UPDATE OR DELETE ON consent_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
