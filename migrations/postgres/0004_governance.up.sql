-- What governs the log: event types' schemas and rules, data subjects' keys, and hashes that show whether the past was
-- changed.

-- json for the check alone: the text stays as it was given, byte for byte.
CREATE TABLE event_schemas (
    tenant_id     key_64 NOT NULL,
    event_type    key_128 NOT NULL,
    event_version schema_version NOT NULL,
    schema_text   text NOT NULL CHECK (schema_text::json IS NOT NULL),
    recorded_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_type, event_version)
);

-- Every change of a tenant's schemas or rules adds 1 to the revision of the type's row. As no row ever goes, the sum of a
-- tenant's revisions grows with each of them, and tells who keeps them in memory to read them anew.
CREATE TABLE event_type_rules (
    tenant_id     key_64 NOT NULL,
    event_type    key_128 NOT NULL,
    schema_mode   text NOT NULL DEFAULT 'enforce' CHECK (schema_mode IN ('off', 'warn', 'enforce')),
    masked        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(masked) = 'array'),
    mask_contexts boolean NOT NULL DEFAULT true,
    keep_days     integer CHECK (keep_days >= 0),
    revision      bigint NOT NULL DEFAULT 1 CHECK (revision >= 1),
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
);

-- A destroyed key has no bytes any more, and its subject may be forgotten. (The old row's bytes go with VACUUM.)
CREATE TABLE subject_keys (
    key_id        uuid PRIMARY KEY,
    tenant_id     key_64 NOT NULL,
    subject       key_255,
    master_key_id key_128,
    wrapped       bytea CHECK (length(wrapped) BETWEEN 1 AND 4096),
    created_at    timestamptz NOT NULL,
    destroyed_at  timestamptz,
    CHECK ((wrapped IS NULL) = (master_key_id IS NULL)),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK (subject IS NOT NULL OR destroyed_at IS NOT NULL)
);

CREATE UNIQUE INDEX subject_keys_subject ON subject_keys (tenant_id, subject) WHERE subject IS NOT NULL;
CREATE INDEX subject_keys_tenant ON subject_keys (tenant_id, key_id);

-- No reference to events: the hash of an event that somebody removed is the evidence.
CREATE TABLE event_hashes (
    global_position bigint PRIMARY KEY CHECK (global_position >= 1),
    content_hash    sha256_hash NOT NULL,
    link            sha256_hash NOT NULL
);

CREATE TABLE log_seals (
    seal_number    bigint PRIMARY KEY CHECK (seal_number >= 1),
    after_position bigint NOT NULL CHECK (after_position >= 0),
    to_position    bigint NOT NULL CHECK (to_position >= after_position),
    events         bigint NOT NULL CHECK (events >= 0),
    root           sha256_hash NOT NULL,
    seal_hash      sha256_hash NOT NULL,
    sealed_at      timestamptz NOT NULL
);

-- A schema never changes, and stays as long as there are events that it describes.
CREATE FUNCTION refuse_schema_in_use() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM events AS e WHERE e.event_type = OLD.event_type AND e.tenant_id = OLD.tenant_id
                                         AND e.event_version = OLD.event_version) THEN
        RAISE EXCEPTION 'there are events of this schema: DELETE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER event_schemas_no_update BEFORE UPDATE OR TRUNCATE ON event_schemas
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_schemas_no_delete BEFORE DELETE ON event_schemas
    FOR EACH ROW EXECUTE FUNCTION refuse_schema_in_use();

CREATE FUNCTION rules_only_forwards() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.tenant_id <> OLD.tenant_id OR NEW.event_type <> OLD.event_type OR NEW.revision <= OLD.revision THEN
        RAISE EXCEPTION 'a change of rules adds to their revision: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER event_type_rules_only_forwards BEFORE UPDATE ON event_type_rules
    FOR EACH ROW EXECUTE FUNCTION rules_only_forwards();
CREATE TRIGGER event_type_rules_no_delete BEFORE DELETE OR TRUNCATE ON event_type_rules
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A key stays the one it is; it can be wrapped anew, be destroyed, and then lose its subject, each for good.
CREATE FUNCTION keys_only_forwards() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.key_id <> OLD.key_id OR NEW.tenant_id <> OLD.tenant_id OR NEW.created_at <> OLD.created_at
        OR NEW.subject IS NOT NULL AND NEW.subject IS DISTINCT FROM OLD.subject
        OR OLD.destroyed_at IS NOT NULL
            AND (NEW.destroyed_at IS DISTINCT FROM OLD.destroyed_at OR NEW.wrapped IS NOT NULL) THEN
        RAISE EXCEPTION 'a destroyed key stays so, and no key becomes another: UPDATE refused'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER subject_keys_only_forwards BEFORE UPDATE ON subject_keys
    FOR EACH ROW EXECUTE FUNCTION keys_only_forwards();
CREATE TRIGGER subject_keys_no_delete BEFORE DELETE OR TRUNCATE ON subject_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER event_hashes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_hashes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE event_schemas ENABLE ALWAYS TRIGGER event_schemas_no_update;
ALTER TABLE event_schemas ENABLE ALWAYS TRIGGER event_schemas_no_delete;
ALTER TABLE event_type_rules ENABLE ALWAYS TRIGGER event_type_rules_only_forwards;
ALTER TABLE event_type_rules ENABLE ALWAYS TRIGGER event_type_rules_no_delete;
ALTER TABLE subject_keys ENABLE ALWAYS TRIGGER subject_keys_only_forwards;
ALTER TABLE subject_keys ENABLE ALWAYS TRIGGER subject_keys_no_delete;
ALTER TABLE event_hashes ENABLE ALWAYS TRIGGER event_hashes_append_only;
ALTER TABLE log_seals ENABLE ALWAYS TRIGGER log_seals_append_only;

REVOKE ALL ON FUNCTION refuse_schema_in_use(), rules_only_forwards(), keys_only_forwards() FROM PUBLIC;
