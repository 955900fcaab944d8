-- How far each projection has read the log of a tenant; written in the same transaction as the read model. The keys' bytes
-- lie beside them, as in streams.

CREATE TABLE $(schema).projection_offsets (
    projection_name NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id       NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    projection_key  VARBINARY(128) NOT NULL,
    tenant_key      VARBINARY(64) NOT NULL,
    last_position   BIGINT NOT NULL,
    updated_at      DATETIME2(6) NOT NULL,
    CONSTRAINT pk_projection_offsets PRIMARY KEY (projection_key, tenant_key),
    CONSTRAINT ck_projection_offsets CHECK (
        DATALENGTH(projection_key) > 0 AND DATALENGTH(tenant_key) > 0 AND last_position >= 0)
);
GO
