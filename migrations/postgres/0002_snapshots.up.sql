-- Aggregate states at a version of their stream. They only save time: any of them may be deleted, none is needed to read.

CREATE TABLE snapshots (
    snapshot_id      uuid NOT NULL UNIQUE,
    stream_no        bigint NOT NULL REFERENCES streams (stream_no),
    stream_version   version_number NOT NULL,
    snapshot_version integer NOT NULL DEFAULT 1 CHECK (snapshot_version >= 1),
    recorded_at      timestamptz NOT NULL,
    state_bytes      bigint NOT NULL CHECK (state_bytes >= 0),
    state            jsonb NOT NULL,
    metadata         json_object,
    PRIMARY KEY (stream_no, stream_version)
);

CREATE INDEX snapshots_recorded ON snapshots (recorded_at);
