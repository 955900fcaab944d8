-- Projections, named subscriptions and relays: how far each has come, and who may go on. A checkpoint moves in the same
-- transaction as what was written because of the events before it. The keys' bytes lie beside them, as in streams.

CREATE TABLE $(schema).projections (
    projection_name   NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id         NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,  -- Empty: all tenants.
    projection_key    VARBINARY(128) NOT NULL,
    tenant_key        VARBINARY(64) NOT NULL,
    parts             INT NOT NULL,
    active_generation INT NOT NULL,
    created_at        DATETIME2(6) NOT NULL,
    CONSTRAINT pk_projections PRIMARY KEY (projection_key, tenant_key),
    CONSTRAINT ck_projections CHECK (
        DATALENGTH(projection_key) > 0 AND parts BETWEEN 1 AND 64 AND active_generation >= 1)
);
GO

-- A row for each part of each generation. The lease is held by who was given this fence, until leased_until; a fence is
-- never given twice for the same key, not even after its row was removed and made again.
CREATE TABLE $(schema).projection_offsets (
    projection_name NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id       NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    projection_key  VARBINARY(128) NOT NULL,
    tenant_key      VARBINARY(64) NOT NULL,
    generation      INT NOT NULL,
    part            INT NOT NULL,
    last_position   BIGINT NOT NULL,
    holder          NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    leased_until    DATETIME2(6) NULL,
    fence           BIGINT NOT NULL,
    updated_at      DATETIME2(6) NOT NULL,
    CONSTRAINT pk_projection_offsets PRIMARY KEY (projection_key, tenant_key, generation, part),
    CONSTRAINT fk_offsets_projection FOREIGN KEY (projection_key, tenant_key)
        REFERENCES $(schema).projections (projection_key, tenant_key) ON DELETE CASCADE,
    CONSTRAINT ck_projection_offsets CHECK (
        generation >= 1 AND part BETWEEN 0 AND 63 AND last_position >= 0 AND fence >= 0)
);
GO

-- Who shares out a projection's parts.
CREATE TABLE $(schema).projection_members (
    projection_name NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id       NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    member          NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    projection_key  VARBINARY(128) NOT NULL,
    tenant_key      VARBINARY(64) NOT NULL,
    member_key      VARBINARY(255) NOT NULL,
    present_until   DATETIME2(6) NOT NULL,
    CONSTRAINT pk_projection_members PRIMARY KEY (projection_key, tenant_key, member_key),
    CONSTRAINT fk_members_projection FOREIGN KEY (projection_key, tenant_key)
        REFERENCES $(schema).projections (projection_key, tenant_key) ON DELETE CASCADE,
    CONSTRAINT ck_projection_members CHECK (DATALENGTH(member_key) > 0)
);
GO

-- Events that a handler could not digest. By position, which is how they are looked through.
CREATE TABLE $(schema).dead_letters (
    projection_name NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id       NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    projection_key  VARBINARY(128) NOT NULL,
    tenant_key      VARBINARY(64) NOT NULL,
    global_position BIGINT NOT NULL,
    generation      INT NOT NULL,
    part            INT NOT NULL,
    event_id        UNIQUEIDENTIFIER NOT NULL,
    attempts        INT NOT NULL,
    error           NVARCHAR(4000) COLLATE Latin1_General_100_BIN2 NOT NULL,
    recorded_at     DATETIME2(6) NOT NULL,
    CONSTRAINT pk_dead_letters PRIMARY KEY (projection_key, tenant_key, global_position, generation, part),
    CONSTRAINT fk_letters_offset FOREIGN KEY (projection_key, tenant_key, generation, part)
        REFERENCES $(schema).projection_offsets (projection_key, tenant_key, generation, part) ON DELETE CASCADE,
    CONSTRAINT ck_dead_letters CHECK (global_position >= 1 AND attempts >= 1)
);
GO
