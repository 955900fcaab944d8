-- What governs the log: event types' schemas and rules, data subjects' keys, and hashes that show whether the past was
-- changed. Tenants and types are spelled out: there are few rows, and a type may be known before its first event.

CREATE TABLE event_schemas (
    tenant_id     TEXT NOT NULL
                  CHECK (tenant_id <> '' AND length(CAST(tenant_id AS BLOB)) <= 64
                         AND instr(CAST(tenant_id AS BLOB), x'00') = 0),
    event_type    TEXT NOT NULL
                  CHECK (event_type <> '' AND length(CAST(event_type AS BLOB)) <= 128
                         AND instr(CAST(event_type AS BLOB), x'00') = 0),
    event_version INTEGER NOT NULL CHECK (event_version BETWEEN 1 AND 2147483647),
    schema_text   TEXT NOT NULL CHECK (json_valid(schema_text)),
    recorded_at   INTEGER NOT NULL CHECK (recorded_at BETWEEN -62135596800000000 AND 253402300799999999),
    PRIMARY KEY (tenant_id, event_type, event_version)
) STRICT;

-- Every change of a tenant's schemas or rules adds 1 to the revision of the type's row. As no row ever goes, the sum of a
-- tenant's revisions grows with each of them, and tells who keeps them in memory to read them anew.
CREATE TABLE event_type_rules (
    tenant_id     TEXT NOT NULL
                  CHECK (tenant_id <> '' AND length(CAST(tenant_id AS BLOB)) <= 64
                         AND instr(CAST(tenant_id AS BLOB), x'00') = 0),
    event_type    TEXT NOT NULL
                  CHECK (event_type <> '' AND length(CAST(event_type AS BLOB)) <= 128
                         AND instr(CAST(event_type AS BLOB), x'00') = 0),
    schema_mode   TEXT NOT NULL DEFAULT 'enforce'
                  CHECK (schema_mode = 'off' OR schema_mode = 'warn' OR schema_mode = 'enforce'),
    masked        TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(masked) AND json_type(masked) = 'array'),
    mask_contexts INTEGER NOT NULL DEFAULT 1 CHECK (mask_contexts IN (0, 1)),
    keep_days     INTEGER CHECK (keep_days BETWEEN 0 AND 2147483647),
    revision      INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1),
    updated_at    INTEGER NOT NULL CHECK (updated_at BETWEEN -62135596800000000 AND 253402300799999999),
    PRIMARY KEY (tenant_id, event_type)
) STRICT, WITHOUT ROWID;

-- A destroyed key has no bytes any more, and its subject may be forgotten. Rows lie in the order in which they came, so that
-- no page is divided and leaves a copy of a key behind.
CREATE TABLE subject_keys (
    key_id        BLOB NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
    tenant_id     TEXT NOT NULL
                  CHECK (tenant_id <> '' AND length(CAST(tenant_id AS BLOB)) <= 64
                         AND instr(CAST(tenant_id AS BLOB), x'00') = 0),
    subject       TEXT CHECK (subject <> '' AND length(CAST(subject AS BLOB)) <= 255
                              AND instr(CAST(subject AS BLOB), x'00') = 0),
    master_key_id TEXT CHECK (master_key_id <> '' AND length(CAST(master_key_id AS BLOB)) <= 128
                              AND instr(CAST(master_key_id AS BLOB), x'00') = 0),
    wrapped       BLOB CHECK (length(wrapped) BETWEEN 1 AND 4096),
    created_at    INTEGER NOT NULL CHECK (created_at BETWEEN -62135596800000000 AND 253402300799999999),
    destroyed_at  INTEGER CHECK (destroyed_at BETWEEN -62135596800000000 AND 253402300799999999),
    CHECK ((wrapped IS NULL) = (master_key_id IS NULL)),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK (subject IS NOT NULL OR destroyed_at IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX subject_keys_subject ON subject_keys (tenant_id, subject) WHERE subject IS NOT NULL;
CREATE INDEX subject_keys_tenant ON subject_keys (tenant_id, key_id);

-- No reference to events: the hash of an event that somebody removed is the evidence.
CREATE TABLE event_hashes (
    global_position INTEGER PRIMARY KEY CHECK (global_position >= 1),
    content_hash    BLOB NOT NULL CHECK (length(content_hash) = 32),
    link            BLOB NOT NULL CHECK (length(link) = 32)
) STRICT;

CREATE TABLE log_seals (
    seal_number    INTEGER PRIMARY KEY CHECK (seal_number >= 1),
    after_position INTEGER NOT NULL CHECK (after_position >= 0),
    to_position    INTEGER NOT NULL CHECK (to_position >= after_position),
    events         INTEGER NOT NULL CHECK (events >= 0),
    root           BLOB NOT NULL CHECK (length(root) = 32),
    seal_hash      BLOB NOT NULL CHECK (length(seal_hash) = 32),
    sealed_at      INTEGER NOT NULL CHECK (sealed_at BETWEEN -62135596800000000 AND 253402300799999999)
) STRICT;

-- A schema never changes, and stays as long as there are events that it describes.

CREATE TRIGGER event_schemas_no_update BEFORE UPDATE ON event_schemas
BEGIN
    SELECT RAISE(ABORT, 'schemas never change: UPDATE refused');
END;

CREATE TRIGGER event_schemas_no_delete BEFORE DELETE ON event_schemas
WHEN EXISTS (SELECT 1 FROM events AS e
             WHERE e.event_type_no = (SELECT n.name_no FROM names AS n WHERE n.name = OLD.event_type)
                 AND +e.tenant_no = (SELECT n.name_no FROM names AS n WHERE n.name = OLD.tenant_id)
                 AND e.event_version = OLD.event_version)
BEGIN
    SELECT RAISE(ABORT, 'there are events of this schema: DELETE refused');
END;

CREATE TRIGGER event_schemas_no_replace BEFORE INSERT ON event_schemas
WHEN EXISTS (SELECT 1 FROM event_schemas WHERE rowid = NEW.rowid)
    OR EXISTS (SELECT 1 FROM event_schemas WHERE tenant_id = NEW.tenant_id AND event_type = NEW.event_type
                                             AND event_version = NEW.event_version)
BEGIN
    SELECT RAISE(ABORT, 'schemas never change: this form has one');
END;

CREATE TRIGGER event_type_rules_only_forwards BEFORE UPDATE ON event_type_rules
WHEN NEW.tenant_id <> OLD.tenant_id OR NEW.event_type <> OLD.event_type OR NEW.revision <= OLD.revision
BEGIN
    SELECT RAISE(ABORT, 'a change of rules adds to their revision: UPDATE refused');
END;

CREATE TRIGGER event_type_rules_no_delete BEFORE DELETE ON event_type_rules
BEGIN
    SELECT RAISE(ABORT, 'event types'' rules are never deleted');
END;

CREATE TRIGGER event_type_rules_no_replace BEFORE INSERT ON event_type_rules
WHEN EXISTS (SELECT 1 FROM event_type_rules WHERE tenant_id = NEW.tenant_id AND event_type = NEW.event_type)
BEGIN
    SELECT RAISE(ABORT, 'event types'' rules are never replaced');
END;

-- A key stays the one it is; it can be wrapped anew, be destroyed, and then lose its subject, each for good.

CREATE TRIGGER subject_keys_only_forwards BEFORE UPDATE ON subject_keys
WHEN NEW.key_id <> OLD.key_id OR NEW.rowid <> OLD.rowid OR NEW.tenant_id <> OLD.tenant_id
    OR NEW.created_at <> OLD.created_at
    OR (NEW.subject IS NOT NULL AND NEW.subject IS NOT OLD.subject)
    OR (OLD.destroyed_at IS NOT NULL AND (NEW.destroyed_at IS NOT OLD.destroyed_at OR NEW.wrapped IS NOT NULL))
BEGIN
    SELECT RAISE(ABORT, 'a destroyed key stays so, and no key becomes another: UPDATE refused');
END;

CREATE TRIGGER subject_keys_no_delete BEFORE DELETE ON subject_keys
BEGIN
    SELECT RAISE(ABORT, 'subject keys are destroyed, never deleted');
END;

CREATE TRIGGER subject_keys_no_replace BEFORE INSERT ON subject_keys
WHEN EXISTS (SELECT 1 FROM subject_keys WHERE rowid = NEW.rowid)
    OR EXISTS (SELECT 1 FROM subject_keys WHERE key_id = NEW.key_id)
    OR EXISTS (SELECT 1 FROM subject_keys WHERE tenant_id = NEW.tenant_id AND subject = NEW.subject)
BEGIN
    SELECT RAISE(ABORT, 'subject keys are never replaced');
END;

-- Append-only, as the events are.

CREATE TRIGGER event_hashes_no_update BEFORE UPDATE ON event_hashes
BEGIN
    SELECT RAISE(ABORT, 'event_hashes are append-only: UPDATE refused');
END;

CREATE TRIGGER event_hashes_no_delete BEFORE DELETE ON event_hashes
BEGIN
    SELECT RAISE(ABORT, 'event_hashes are append-only: DELETE refused');
END;

CREATE TRIGGER event_hashes_no_replace BEFORE INSERT ON event_hashes
WHEN EXISTS (SELECT 1 FROM event_hashes WHERE global_position = NEW.global_position)
BEGIN
    SELECT RAISE(ABORT, 'event_hashes are append-only: this event has one');
END;

CREATE TRIGGER log_seals_no_update BEFORE UPDATE ON log_seals
BEGIN
    SELECT RAISE(ABORT, 'log_seals are append-only: UPDATE refused');
END;

CREATE TRIGGER log_seals_no_delete BEFORE DELETE ON log_seals
BEGIN
    SELECT RAISE(ABORT, 'log_seals are append-only: DELETE refused');
END;

CREATE TRIGGER log_seals_no_replace BEFORE INSERT ON log_seals
WHEN EXISTS (SELECT 1 FROM log_seals WHERE seal_number = NEW.seal_number)
BEGIN
    SELECT RAISE(ABORT, 'log_seals are append-only: this seal exists');
END;
