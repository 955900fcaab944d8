-- Projections, named subscriptions and relays: how far each has come, and who may go on. A checkpoint moves in the same
-- transaction as what was written because of the events before it.

CREATE TABLE projections (
    projection_name   TEXT NOT NULL
                      CHECK (projection_name <> '' AND length(CAST(projection_name AS BLOB)) <= 128
                             AND instr(CAST(projection_name AS BLOB), x'00') = 0),
    tenant_id         TEXT NOT NULL  -- Empty: all tenants.
                      CHECK (length(CAST(tenant_id AS BLOB)) <= 64 AND instr(CAST(tenant_id AS BLOB), x'00') = 0),
    parts             INTEGER NOT NULL CHECK (parts BETWEEN 1 AND 64),
    active_generation INTEGER NOT NULL DEFAULT 1 CHECK (active_generation BETWEEN 1 AND 2147483647),
    created_at        INTEGER NOT NULL,
    PRIMARY KEY (projection_name, tenant_id)
) STRICT, WITHOUT ROWID;

-- A row for each part of each generation. The lease is held by who was given this fence, until leased_until; a fence is
-- never given twice for the same key, not even after its row was removed and made again.
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

-- Who shares out a projection's parts.
CREATE TABLE projection_members (
    projection_name TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    member          TEXT NOT NULL CHECK (member <> ''),
    present_until   INTEGER NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, member),
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections (projection_name, tenant_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Events that a handler could not digest. By position, which is how they are looked through.
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
