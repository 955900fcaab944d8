-- Projections, named subscriptions and relays: how far each has come, and who may go on. A checkpoint moves in the same
-- transaction as what was written because of the events before it.

CREATE TABLE projections (
    projection_name   key_128 NOT NULL,
    tenant_id         text COLLATE "C" NOT NULL CHECK (octet_length(tenant_id) <= 64),  -- Empty: all tenants.
    parts             integer NOT NULL CHECK (parts BETWEEN 1 AND 64),
    active_generation integer NOT NULL DEFAULT 1 CHECK (active_generation >= 1),
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (projection_name, tenant_id)
);

-- A row for each part of each generation. The lease is held by who was given this fence, until leased_until; a fence is
-- never given twice for the same key, not even after its row was removed and made again. Rows change often and stay few:
-- room on their pages lets them change in place.
CREATE TABLE projection_offsets (
    projection_name text COLLATE "C" NOT NULL,
    tenant_id       text COLLATE "C" NOT NULL,
    generation      integer NOT NULL CHECK (generation >= 1),
    part            integer NOT NULL CHECK (part BETWEEN 0 AND 63),
    last_position   bigint NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    holder          text COLLATE "C" NOT NULL DEFAULT '',
    leased_until    timestamptz,
    fence           bigint NOT NULL DEFAULT 0 CHECK (fence >= 0),
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, generation, part),
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections (projection_name, tenant_id) ON DELETE CASCADE
) WITH (fillfactor = 50);

-- Who shares out a projection's parts.
CREATE TABLE projection_members (
    projection_name text COLLATE "C" NOT NULL,
    tenant_id       text COLLATE "C" NOT NULL,
    member          text COLLATE "C" NOT NULL CHECK (member <> ''),
    present_until   timestamptz NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, member),
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections (projection_name, tenant_id) ON DELETE CASCADE
);

-- Events that a handler could not digest. By position, which is how they are looked through.
CREATE TABLE dead_letters (
    projection_name text COLLATE "C" NOT NULL,
    tenant_id       text COLLATE "C" NOT NULL,
    global_position bigint NOT NULL CHECK (global_position >= 1),
    generation      integer NOT NULL,
    part            integer NOT NULL,
    event_id        uuid NOT NULL,
    attempts        integer NOT NULL CHECK (attempts >= 1),
    error           text NOT NULL CHECK (octet_length(error) <= 4000),
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (projection_name, tenant_id, global_position, generation, part),
    FOREIGN KEY (projection_name, tenant_id, generation, part)
        REFERENCES projection_offsets (projection_name, tenant_id, generation, part) ON DELETE CASCADE
);
