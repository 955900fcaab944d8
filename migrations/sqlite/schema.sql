-- The schema that the migrations make, for reading and for comparison; made by the test of it.

CREATE TABLE commands (
    command_no      INTEGER PRIMARY KEY,
    tenant_no       INTEGER NOT NULL REFERENCES names (name_no),
    source_no       INTEGER NOT NULL REFERENCES names (name_no),
    request_id      TEXT NOT NULL
                    CHECK (request_id <> '' AND length(CAST(request_id AS BLOB)) <= 255
                           AND instr(CAST(request_id AS BLOB), x'00') = 0),
    command_id      BLOB NOT NULL UNIQUE CHECK (length(command_id) = 16),
    command_type_no INTEGER NOT NULL REFERENCES names (name_no),
    stream_type_no  INTEGER REFERENCES names (name_no),
    stream_id       TEXT CHECK (stream_id <> '' AND length(CAST(stream_id AS BLOB)) <= 255),
    actor_type      TEXT CHECK (actor_type = 'user' OR actor_type = 'service' OR actor_type = 'agent' OR actor_type = 'system'),
    actor_id        TEXT CHECK (actor_id <> '' AND length(CAST(actor_id AS BLOB)) <= 255),
    channel         TEXT CHECK (channel = 'ui' OR channel = 'api' OR channel = 'import' OR channel = 'webhook' OR channel = 'system'),
    data            TEXT CHECK (data IS NULL OR (json_valid(data) AND (json_type(data) = 'object' OR json_type(data) = 'array'))),
    fingerprint     BLOB NOT NULL CHECK (length(fingerprint) = 32),
    outcome         TEXT NOT NULL CHECK (json_valid(outcome)),
    recorded_at     INTEGER NOT NULL CHECK (recorded_at BETWEEN -62135596800000000 AND 253402300799999999),
    UNIQUE (tenant_no, source_no, request_id),
    CHECK ((actor_type IS NULL) = (actor_id IS NULL)),
    CHECK ((stream_type_no IS NULL) = (stream_id IS NULL))
) STRICT;

CREATE TABLE dead_letters (
    projection_name TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    global_position INTEGER NOT NULL CHECK (global_position >= 1),
    generation      INTEGER NOT NULL,
    part            INTEGER NOT NULL,
    event_id        BLOB NOT NULL CHECK (length(event_id) = 16),
    attempts        INTEGER NOT NULL CHECK (attempts >= 1),
    error           TEXT NOT NULL CHECK (length(CAST(error AS BLOB)) <= 4000),
    recorded_at     INTEGER NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, global_position, generation, part),
    FOREIGN KEY (projection_name, tenant_id, generation, part)
        REFERENCES projection_offsets (projection_name, tenant_id, generation, part) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE event_attributes (
    global_position INTEGER NOT NULL REFERENCES events (global_position),
    name_no         INTEGER NOT NULL REFERENCES names (name_no),
    value           TEXT NOT NULL
                    CHECK (value <> '' AND length(CAST(value AS BLOB)) <= 255 AND instr(CAST(value AS BLOB), x'00') = 0),
    PRIMARY KEY (global_position, name_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_hashes (
    global_position INTEGER PRIMARY KEY CHECK (global_position >= 1),
    content_hash    BLOB NOT NULL CHECK (length(content_hash) = 32),
    link            BLOB NOT NULL CHECK (length(link) = 32)
) STRICT;

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

CREATE TABLE events (
    global_position  INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_no        INTEGER NOT NULL REFERENCES streams (stream_no),
    stream_version   INTEGER NOT NULL CHECK (stream_version >= 1),
    tenant_no        INTEGER NOT NULL,
    stream_type_no   INTEGER NOT NULL,
    event_id         BLOB NOT NULL CHECK (length(event_id) = 16),
    event_type_no    INTEGER NOT NULL REFERENCES names (name_no),
    event_version    INTEGER NOT NULL DEFAULT 1 CHECK (event_version BETWEEN 1 AND 2147483647),
    occurred_at      INTEGER NOT NULL CHECK (occurred_at BETWEEN -62135596800000000 AND 253402300799999999),
    recorded_at      INTEGER NOT NULL CHECK (recorded_at BETWEEN -62135596800000000 AND 253402300799999999),
    valid_from       INTEGER CHECK (valid_from BETWEEN -62135596800000000 AND 253402300799999999),
    valid_to         INTEGER CHECK (valid_to BETWEEN -62135596800000000 AND 253402300799999999),
    actor_type       TEXT CHECK (actor_type = 'user' OR actor_type = 'service' OR actor_type = 'agent' OR actor_type = 'system'),
    actor_id         TEXT CHECK (actor_id <> '' AND length(CAST(actor_id AS BLOB)) <= 255),
    source_no        INTEGER REFERENCES names (name_no),
    channel          TEXT CHECK (channel = 'ui' OR channel = 'api' OR channel = 'import' OR channel = 'webhook' OR channel = 'system'),
    command_no       INTEGER REFERENCES commands (command_no),
    idempotency_key  TEXT CHECK (idempotency_key <> '' AND length(CAST(idempotency_key AS BLOB)) <= 255),
    causation_id     BLOB CHECK (length(causation_id) = 16),
    correlation_id   BLOB CHECK (length(correlation_id) = 16),
    redaction_level  TEXT NOT NULL DEFAULT 'none' CHECK (redaction_level = 'none' OR redaction_level = 'partial' OR redaction_level = 'full'),
    contains_secrets INTEGER NOT NULL DEFAULT 0 CHECK (contains_secrets IN (0, 1)),
    attribute_count  INTEGER NOT NULL DEFAULT 0 CHECK (attribute_count >= 0),
    data             TEXT NOT NULL CHECK (json_valid(data) AND (json_type(data) = 'object' OR json_type(data) = 'array')),
    metadata         TEXT CHECK (metadata IS NULL OR (json_valid(metadata) AND json_type(metadata) = 'object')),
    policy_context   TEXT CHECK (policy_context IS NULL OR (json_valid(policy_context) AND json_type(policy_context) = 'object')),
    model_context    TEXT CHECK (model_context IS NULL OR (json_valid(model_context) AND json_type(model_context) = 'object')),
    display          TEXT CHECK (display IS NULL OR (json_valid(display) AND json_type(display) = 'object')),
    CHECK (valid_to > valid_from),
    CHECK ((actor_type IS NULL) = (actor_id IS NULL))
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

CREATE TABLE names (
    name_no INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE
            CHECK (name <> '' AND length(CAST(name AS BLOB)) <= 128 AND instr(CAST(name AS BLOB), x'00') = 0)
) STRICT;

CREATE TABLE projection_members (
    projection_name TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    member          TEXT NOT NULL CHECK (member <> ''),
    present_until   INTEGER NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, member),
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections (projection_name, tenant_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE projection_offsets (
    projection_name TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    generation      INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 2147483647),
    part            INTEGER NOT NULL CHECK (part BETWEEN 0 AND 63),
    last_position   INTEGER NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    holder          TEXT NOT NULL DEFAULT '',
    leased_until    INTEGER,
    fence           INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, generation, part),
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections (projection_name, tenant_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE projections (
    projection_name   TEXT NOT NULL
                      CHECK (projection_name <> '' AND length(CAST(projection_name AS BLOB)) <= 128
                             AND instr(CAST(projection_name AS BLOB), x'00') = 0),
    tenant_id         TEXT NOT NULL  -- Empty: all tenants.
                      CHECK (length(CAST(tenant_id AS BLOB)) <= 64 AND instr(CAST(tenant_id AS BLOB), x'00') = 0),
    parts             INTEGER NOT NULL CHECK (parts BETWEEN 1 AND 64),
    active_generation INTEGER NOT NULL DEFAULT 1 CHECK (active_generation BETWEEN 1 AND 2147483647),
    created_at        INTEGER NOT NULL, kind TEXT CHECK (kind IN ('projection', 'subscription', 'relay', 'inline')),
    PRIMARY KEY (projection_name, tenant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    snapshot_id      BLOB NOT NULL UNIQUE CHECK (length(snapshot_id) = 16),
    stream_no        INTEGER NOT NULL REFERENCES streams (stream_no),
    stream_version   INTEGER NOT NULL CHECK (stream_version >= 1),
    snapshot_version INTEGER NOT NULL DEFAULT 1 CHECK (snapshot_version BETWEEN 1 AND 2147483647),
    recorded_at      INTEGER NOT NULL,
    state_bytes      INTEGER NOT NULL CHECK (state_bytes >= 0),
    state            TEXT NOT NULL CHECK (json_valid(state)),
    metadata         TEXT CHECK (metadata IS NULL OR (json_valid(metadata) AND json_type(metadata) = 'object')),
    PRIMARY KEY (stream_no, stream_version)
) STRICT;

CREATE TABLE streams (
    stream_no        INTEGER PRIMARY KEY,
    tenant_no        INTEGER NOT NULL REFERENCES names (name_no),
    stream_type_no   INTEGER NOT NULL REFERENCES names (name_no),
    stream_id        TEXT NOT NULL
                     CHECK (stream_id <> '' AND length(CAST(stream_id AS BLOB)) <= 255
                            AND instr(CAST(stream_id AS BLOB), x'00') = 0),
    version          INTEGER NOT NULL CHECK (version >= 1),
    created_at       INTEGER NOT NULL CHECK (created_at BETWEEN -62135596800000000 AND 253402300799999999),
    last_recorded_at INTEGER NOT NULL CHECK (last_recorded_at BETWEEN created_at AND 253402300799999999),
    UNIQUE (tenant_no, stream_type_no, stream_id)
) STRICT;

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

CREATE INDEX commands_stream ON commands (tenant_no, stream_type_no, stream_id) WHERE stream_id IS NOT NULL;

CREATE INDEX event_attributes_value ON event_attributes (name_no, value, global_position);

CREATE INDEX events_causation ON events (causation_id) WHERE causation_id IS NOT NULL;

CREATE INDEX events_correlation ON events (correlation_id) WHERE correlation_id IS NOT NULL;

CREATE UNIQUE INDEX events_event_id ON events (event_id);

CREATE UNIQUE INDEX events_idempotency ON events (stream_no, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX events_occurred ON events (occurred_at);

CREATE UNIQUE INDEX events_stream ON events (stream_no, stream_version);

CREATE INDEX events_stream_type ON events (stream_type_no);

CREATE INDEX events_tenant ON events (tenant_no) WHERE tenant_no <> 1;

CREATE INDEX events_type ON events (event_type_no);

CREATE INDEX snapshots_recorded ON snapshots (recorded_at);

CREATE UNIQUE INDEX subject_keys_subject ON subject_keys (tenant_id, subject) WHERE subject IS NOT NULL;

CREATE INDEX subject_keys_tenant ON subject_keys (tenant_id, key_id);

CREATE TRIGGER commands_no_delete BEFORE DELETE ON commands
BEGIN
    SELECT RAISE(ABORT, 'commands are append-only: DELETE refused');
END;

CREATE TRIGGER commands_no_replace BEFORE INSERT ON commands
WHEN EXISTS (SELECT 1 FROM commands WHERE command_no = NEW.command_no)
    OR EXISTS (SELECT 1 FROM commands WHERE command_id = NEW.command_id)
    OR EXISTS (SELECT 1 FROM commands WHERE tenant_no = NEW.tenant_no AND source_no = NEW.source_no
                                        AND request_id = NEW.request_id)
BEGIN
    SELECT RAISE(ABORT, 'commands are append-only: this command exists');
END;

CREATE TRIGGER commands_no_update BEFORE UPDATE ON commands
BEGIN
    SELECT RAISE(ABORT, 'commands are append-only: UPDATE refused');
END;

CREATE TRIGGER event_attributes_no_delete BEFORE DELETE ON event_attributes
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: DELETE of their attributes refused');
END;

CREATE TRIGGER event_attributes_no_replace BEFORE INSERT ON event_attributes
WHEN EXISTS (SELECT 1 FROM event_attributes WHERE global_position = NEW.global_position AND name_no = NEW.name_no)
    OR (SELECT count(*) FROM event_attributes WHERE global_position = NEW.global_position)
       >= (SELECT attribute_count FROM events WHERE global_position = NEW.global_position)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: this event has its attributes');
END;

CREATE TRIGGER event_attributes_no_update BEFORE UPDATE ON event_attributes
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: UPDATE of their attributes refused');
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

CREATE TRIGGER event_hashes_no_update BEFORE UPDATE ON event_hashes
BEGIN
    SELECT RAISE(ABORT, 'event_hashes are append-only: UPDATE refused');
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

CREATE TRIGGER event_schemas_no_update BEFORE UPDATE ON event_schemas
BEGIN
    SELECT RAISE(ABORT, 'schemas never change: UPDATE refused');
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

CREATE TRIGGER event_type_rules_only_forwards BEFORE UPDATE ON event_type_rules
WHEN NEW.tenant_id <> OLD.tenant_id OR NEW.event_type <> OLD.event_type OR NEW.revision <= OLD.revision
BEGIN
    SELECT RAISE(ABORT, 'a change of rules adds to their revision: UPDATE refused');
END;

CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: DELETE refused');
END;

CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE global_position = NEW.global_position)
    OR EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id)
    OR EXISTS (SELECT 1 FROM events WHERE stream_no = NEW.stream_no AND stream_version = NEW.stream_version)
    OR EXISTS (SELECT 1 FROM events WHERE stream_no = NEW.stream_no AND idempotency_key = NEW.idempotency_key)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: this event exists');
END;

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: UPDATE refused');
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

CREATE TRIGGER log_seals_no_update BEFORE UPDATE ON log_seals
BEGIN
    SELECT RAISE(ABORT, 'log_seals are append-only: UPDATE refused');
END;

CREATE TRIGGER names_no_delete BEFORE DELETE ON names
BEGIN
    SELECT RAISE(ABORT, 'names are never deleted');
END;

CREATE TRIGGER names_no_replace BEFORE INSERT ON names
WHEN EXISTS (SELECT 1 FROM names WHERE name_no = NEW.name_no) OR EXISTS (SELECT 1 FROM names WHERE name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'names are never replaced');
END;

CREATE TRIGGER names_no_update BEFORE UPDATE ON names
BEGIN
    SELECT RAISE(ABORT, 'names never change');
END;

CREATE TRIGGER streams_no_delete BEFORE DELETE ON streams
BEGIN
    SELECT RAISE(ABORT, 'streams are never deleted');
END;

CREATE TRIGGER streams_no_replace BEFORE INSERT ON streams
WHEN EXISTS (SELECT 1 FROM streams WHERE stream_no = NEW.stream_no)
    OR EXISTS (SELECT 1 FROM streams WHERE tenant_no = NEW.tenant_no AND stream_type_no = NEW.stream_type_no
                                       AND stream_id = NEW.stream_id)
BEGIN
    SELECT RAISE(ABORT, 'streams are never replaced');
END;

CREATE TRIGGER streams_only_forwards BEFORE UPDATE ON streams
WHEN NEW.version <= OLD.version OR NEW.last_recorded_at < OLD.last_recorded_at OR NEW.stream_no <> OLD.stream_no
    OR NEW.tenant_no <> OLD.tenant_no OR NEW.stream_type_no <> OLD.stream_type_no OR NEW.stream_id <> OLD.stream_id
    OR NEW.created_at <> OLD.created_at
BEGIN
    SELECT RAISE(ABORT, 'streams only move forwards: UPDATE refused');
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

CREATE TRIGGER subject_keys_only_forwards BEFORE UPDATE ON subject_keys
WHEN NEW.key_id <> OLD.key_id OR NEW.rowid <> OLD.rowid OR NEW.tenant_id <> OLD.tenant_id
    OR NEW.created_at <> OLD.created_at
    OR (NEW.subject IS NOT NULL AND NEW.subject IS NOT OLD.subject)
    OR (OLD.destroyed_at IS NOT NULL AND (NEW.destroyed_at IS NOT OLD.destroyed_at OR NEW.wrapped IS NOT NULL))
BEGIN
    SELECT RAISE(ABORT, 'a destroyed key stays so, and no key becomes another: UPDATE refused');
END;

CREATE VIEW event_log AS
SELECT
    e.global_position,
    tenant.name AS tenant_id,
    stream_type.name AS stream_type,
    s.stream_id,
    e.stream_version,
    lower(substr(hex(e.event_id), 1, 8) || '-' || substr(hex(e.event_id), 9, 4) || '-' || substr(hex(e.event_id), 13, 4)
          || '-' || substr(hex(e.event_id), 17, 4) || '-' || substr(hex(e.event_id), 21)) AS event_id,
    event_type.name AS event_type,
    e.event_version,
    strftime('%Y-%m-%dT%H:%M:%S', e.occurred_at / 1000000 - (e.occurred_at % 1000000 < 0), 'unixepoch')
        || printf('.%06dZ', (e.occurred_at % 1000000 + 1000000) % 1000000) AS occurred_at,
    strftime('%Y-%m-%dT%H:%M:%S', e.recorded_at / 1000000, 'unixepoch')
        || printf('.%06dZ', e.recorded_at % 1000000) AS recorded_at,
    CASE WHEN e.valid_from IS NOT NULL THEN
        strftime('%Y-%m-%dT%H:%M:%S', e.valid_from / 1000000 - (e.valid_from % 1000000 < 0), 'unixepoch')
        || printf('.%06dZ', (e.valid_from % 1000000 + 1000000) % 1000000) END AS valid_from,
    CASE WHEN e.valid_to IS NOT NULL THEN
        strftime('%Y-%m-%dT%H:%M:%S', e.valid_to / 1000000 - (e.valid_to % 1000000 < 0), 'unixepoch')
        || printf('.%06dZ', (e.valid_to % 1000000 + 1000000) % 1000000) END AS valid_to,
    e.actor_type,
    e.actor_id,
    source.name AS source,
    e.channel,
    command_source.name AS command_source,
    c.request_id,
    e.idempotency_key,
    CASE WHEN e.causation_id IS NOT NULL THEN
        lower(substr(hex(e.causation_id), 1, 8) || '-' || substr(hex(e.causation_id), 9, 4) || '-' || substr(hex(e.causation_id), 13, 4)
          || '-' || substr(hex(e.causation_id), 17, 4) || '-' || substr(hex(e.causation_id), 21)) END AS causation_id,
    CASE WHEN e.correlation_id IS NOT NULL THEN
        lower(substr(hex(e.correlation_id), 1, 8) || '-' || substr(hex(e.correlation_id), 9, 4) || '-' || substr(hex(e.correlation_id), 13, 4)
          || '-' || substr(hex(e.correlation_id), 17, 4) || '-' || substr(hex(e.correlation_id), 21)) END AS correlation_id,
    e.redaction_level,
    e.contains_secrets,
    e.data,
    e.metadata,
    e.policy_context,
    e.model_context,
    e.display,
    CASE WHEN e.attribute_count > 0 THEN
        (SELECT json_group_object(n.name, a.value) FROM event_attributes AS a JOIN names AS n ON n.name_no = a.name_no
         WHERE a.global_position = e.global_position) END AS attributes
FROM events AS e
JOIN streams AS s ON s.stream_no = e.stream_no
JOIN names AS tenant ON tenant.name_no = e.tenant_no
JOIN names AS stream_type ON stream_type.name_no = e.stream_type_no
JOIN names AS event_type ON event_type.name_no = e.event_type_no
LEFT JOIN names AS source ON source.name_no = e.source_no
LEFT JOIN commands AS c ON c.command_no = e.command_no
LEFT JOIN names AS command_source ON command_source.name_no = c.source_no;
