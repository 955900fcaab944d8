-- How far each projection has read the log of a tenant; written in the same transaction as the read model.

CREATE TABLE projection_offsets (
    projection_name text COLLATE "C" NOT NULL CHECK (octet_length(projection_name) BETWEEN 1 AND 128),
    tenant_id       text COLLATE "C" NOT NULL CHECK (octet_length(tenant_id) BETWEEN 1 AND 64),
    last_position   bigint NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (projection_name, tenant_id)
);
