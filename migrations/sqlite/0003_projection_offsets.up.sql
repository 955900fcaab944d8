-- How far each projection has read the log of a tenant; written in the same transaction as the read model.

CREATE TABLE projection_offsets (
    projection_name TEXT NOT NULL CHECK (projection_name <> '' AND length(CAST(projection_name AS BLOB)) <= 128),
    tenant_no       INTEGER NOT NULL REFERENCES names (name_no),
    last_position   INTEGER NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (projection_name, tenant_no)
) STRICT, WITHOUT ROWID;
