-- What WhatsApp has of the program's templates: each wording under the name it has there, with its review and its quality. A message
-- whose template may not be sent waits, and is found again by its template.

-- +goose Up
CREATE TABLE whatsapp_templates (
    name         text        NOT NULL CHECK (name <> ''), -- at WhatsApp: the program's name for it and a hash of its words
    language     text        NOT NULL CHECK (language <> ''),
    template     text        NOT NULL, -- the program's name for it; empty where WhatsApp has one that no program of ours knows
    whatsapp_id  text        NOT NULL, -- empty: not submitted
    status       text        NOT NULL CHECK (status IN ('missing', 'pending', 'approved', 'rejected', 'paused', 'disabled')),
    declared     text        NOT NULL, -- the category that the program says
    category     text        NOT NULL, -- the one that WhatsApp counts it as; empty while it has not said
    quality      text        NOT NULL, -- green, yellow, red; empty while it is unknown
    reason       text        NOT NULL, -- WhatsApp's word for why it has its status
    since        timestamptz NOT NULL, -- when it came to its status
    paused_until timestamptz,          -- when a pause ends by itself; null: WhatsApp will say
    pauses       integer     NOT NULL CHECK (pauses >= 0),
    told_at      timestamptz,          -- when WhatsApp told its status, by its own clock
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (name, language),
    CHECK (paused_until IS NULL OR status = 'paused')
);
CREATE INDEX whatsapp_templates_pauses ON whatsapp_templates (paused_until) WHERE paused_until IS NOT NULL;
CREATE INDEX messages_for_template ON messages (version, language, id) WHERE status = 'deferred' AND version <> '';

-- +goose Down
DROP INDEX messages_for_template;
DROP TABLE whatsapp_templates;
