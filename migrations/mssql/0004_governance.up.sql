-- What governs the log: event types' schemas and rules, data subjects' keys, and hashes that show whether the past was
-- changed. The keys' bytes lie beside them, as in streams.

SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO

-- ISJSON knows objects and arrays only; a schema may be true or false as well.
CREATE TABLE $(schema).event_schemas (
    tenant_id     NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    event_type    NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_key    VARBINARY(64) NOT NULL,
    type_key      VARBINARY(128) NOT NULL,
    event_version INT NOT NULL,
    schema_text   NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NOT NULL,
    recorded_at   DATETIME2(6) NOT NULL,
    CONSTRAINT pk_event_schemas PRIMARY KEY (tenant_key, type_key, event_version),
    CONSTRAINT ck_event_schemas CHECK (
        DATALENGTH(tenant_key) > 0 AND DATALENGTH(type_key) > 0 AND event_version >= 1
        AND ISJSON(N'[' + schema_text + N']') = 1)
);
GO

-- Every change of a tenant's schemas or rules adds 1 to the revision of the type's row. As no row ever goes, the sum of a
-- tenant's revisions grows with each of them, and tells who keeps them in memory to read them anew.
CREATE TABLE $(schema).event_type_rules (
    tenant_id     NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    event_type    NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_key    VARBINARY(64) NOT NULL,
    type_key      VARBINARY(128) NOT NULL,
    schema_mode   NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    masked        NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NOT NULL,
    mask_contexts BIT NOT NULL,
    keep_days     INT NULL,
    revision      BIGINT NOT NULL,
    updated_at    DATETIME2(6) NOT NULL,
    CONSTRAINT pk_event_type_rules PRIMARY KEY (tenant_key, type_key),
    CONSTRAINT ck_event_type_rules CHECK (
        DATALENGTH(tenant_key) > 0 AND DATALENGTH(type_key) > 0 AND schema_mode IN (N'off', N'warn', N'enforce')
        AND ISJSON(masked) = 1 AND LEFT(masked, 1) = N'[' AND (keep_days IS NULL OR keep_days >= 0) AND revision >= 1)
);
GO

-- A destroyed key has no bytes any more, and its subject may be forgotten. key_bytes is key_id in the order of its text,
-- which is not that of UNIQUEIDENTIFIER.
CREATE TABLE $(schema).subject_keys (
    key_id        UNIQUEIDENTIFIER NOT NULL CONSTRAINT pk_subject_keys PRIMARY KEY,
    key_bytes     BINARY(16) NOT NULL,
    tenant_id     NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_key    VARBINARY(64) NOT NULL,
    subject       NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    subject_key   VARBINARY(255) NULL,
    master_key_id NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL,
    wrapped       VARBINARY(4096) NULL,
    created_at    DATETIME2(6) NOT NULL,
    destroyed_at  DATETIME2(6) NULL,
    CONSTRAINT ck_subject_keys CHECK (
        DATALENGTH(tenant_key) > 0
        AND (wrapped IS NULL AND master_key_id IS NULL AND destroyed_at IS NOT NULL
             OR DATALENGTH(wrapped) > 0 AND wrapped IS NOT NULL AND DATALENGTH(master_key_id) > 0
                AND master_key_id IS NOT NULL AND destroyed_at IS NULL)
        AND (subject IS NULL AND subject_key IS NULL AND destroyed_at IS NOT NULL
             OR subject IS NOT NULL AND subject_key IS NOT NULL AND DATALENGTH(subject_key) > 0))
);
GO
CREATE UNIQUE INDEX subject_keys_subject ON $(schema).subject_keys (tenant_key, subject_key)
    WHERE subject_key IS NOT NULL;
CREATE INDEX subject_keys_tenant ON $(schema).subject_keys (tenant_key, key_bytes);
GO

-- No reference to events: the hash of an event that somebody removed is the evidence.
CREATE TABLE $(schema).event_hashes (
    global_position BIGINT NOT NULL CONSTRAINT pk_event_hashes PRIMARY KEY,
    content_hash    BINARY(32) NOT NULL,
    link            BINARY(32) NOT NULL,
    CONSTRAINT ck_event_hashes CHECK (global_position >= 1)
);
GO

CREATE TABLE $(schema).log_seals (
    seal_number    BIGINT NOT NULL CONSTRAINT pk_log_seals PRIMARY KEY,
    after_position BIGINT NOT NULL,
    to_position    BIGINT NOT NULL,
    events         BIGINT NOT NULL,
    root           BINARY(32) NOT NULL,
    seal_hash      BINARY(32) NOT NULL,
    sealed_at      DATETIME2(6) NOT NULL,
    CONSTRAINT ck_log_seals CHECK (
        seal_number >= 1 AND after_position >= 0 AND to_position >= after_position AND events >= 0)
);
GO

-- A schema never changes, and stays as long as there are events that it describes.

CREATE TRIGGER $(schema).event_schemas_no_update ON $(schema).event_schemas AFTER UPDATE AS
BEGIN
    THROW 51001, N'schemas never change: UPDATE refused', 1;
END
GO
CREATE TRIGGER $(schema).event_schemas_no_delete ON $(schema).event_schemas AFTER DELETE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d JOIN $(schema).events AS e
                   ON e.event_type = d.event_type AND DATALENGTH(e.event_type) = DATALENGTH(d.event_type)
                   AND e.tenant_id = d.tenant_id AND DATALENGTH(e.tenant_id) = DATALENGTH(d.tenant_id)
                   AND e.event_version = d.event_version)
        THROW 51005, N'there are events of this schema: DELETE refused', 1;
END
GO

CREATE TRIGGER $(schema).event_type_rules_only_forwards ON $(schema).event_type_rules AFTER UPDATE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d LEFT JOIN inserted AS i
                   ON i.tenant_key = d.tenant_key AND i.type_key = d.type_key
               WHERE i.tenant_key IS NULL OR i.revision <= d.revision OR i.tenant_id <> d.tenant_id
                  OR i.event_type <> d.event_type)
        THROW 51002, N'a change of rules adds to their revision: UPDATE refused', 1;
END
GO
CREATE TRIGGER $(schema).event_type_rules_no_delete ON $(schema).event_type_rules AFTER DELETE AS
BEGIN
    THROW 51001, N'the rules of event types are never deleted', 1;
END
GO

-- A key stays the one it is; it can be wrapped anew, be destroyed, and then lose its subject, each for good.
CREATE TRIGGER $(schema).subject_keys_only_forwards ON $(schema).subject_keys AFTER UPDATE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d LEFT JOIN inserted AS i ON i.key_id = d.key_id
               WHERE i.key_id IS NULL OR i.key_bytes <> d.key_bytes OR i.tenant_key <> d.tenant_key
                  OR i.tenant_id <> d.tenant_id OR i.created_at <> d.created_at
                  OR i.subject_key IS NOT NULL AND (d.subject_key IS NULL OR i.subject_key <> d.subject_key)
                  OR i.subject IS NOT NULL AND (d.subject IS NULL OR i.subject <> d.subject)
                  OR d.destroyed_at IS NOT NULL AND (i.destroyed_at IS NULL OR i.destroyed_at <> d.destroyed_at
                                                     OR i.wrapped IS NOT NULL))
        THROW 51002, N'a destroyed key stays so, and no key becomes another: UPDATE refused', 1;
END
GO
CREATE TRIGGER $(schema).subject_keys_no_delete ON $(schema).subject_keys AFTER DELETE AS
BEGIN
    THROW 51001, N'subject keys are destroyed, never deleted', 1;
END
GO

CREATE TRIGGER $(schema).event_hashes_append_only ON $(schema).event_hashes AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'event_hashes are append-only: UPDATE and DELETE refused', 1;
END
GO
CREATE TRIGGER $(schema).log_seals_append_only ON $(schema).log_seals AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'log_seals are append-only: UPDATE and DELETE refused', 1;
END
GO

-- TRUNCATE fires no trigger, but it is refused for a table that another refers to, be that other one empty.
CREATE TABLE $(schema).governance_truncate_guard (
    tenant_key      VARBINARY(64) NOT NULL,
    type_key        VARBINARY(128) NOT NULL,
    event_version   INT NOT NULL,
    key_id          UNIQUEIDENTIFIER NOT NULL CONSTRAINT fk_guard_keys REFERENCES $(schema).subject_keys (key_id),
    global_position BIGINT NOT NULL CONSTRAINT fk_guard_hashes REFERENCES $(schema).event_hashes (global_position),
    seal_number     BIGINT NOT NULL CONSTRAINT fk_guard_seals REFERENCES $(schema).log_seals (seal_number),
    CONSTRAINT fk_guard_schemas FOREIGN KEY (tenant_key, type_key, event_version)
        REFERENCES $(schema).event_schemas (tenant_key, type_key, event_version),
    CONSTRAINT fk_guard_rules FOREIGN KEY (tenant_key, type_key)
        REFERENCES $(schema).event_type_rules (tenant_key, type_key),
    CONSTRAINT ck_governance_guard_empty CHECK (seal_number < 0 AND seal_number > 0)
);
GO
