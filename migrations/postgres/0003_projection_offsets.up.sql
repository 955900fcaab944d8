-- How far each projection has read the log of a tenant; written in the same transaction as the read model.

CREATE TABLE projection_offsets (
    projection_name key_128 NOT NULL,
    tenant_id       key_64 NOT NULL,
    last_position   bigint NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (projection_name, tenant_id)
);
