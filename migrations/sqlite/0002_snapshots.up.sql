-- Aggregate states at a version of their stream. They only save time: any of them may be deleted, none is needed to read.

CREATE TABLE snapshots (
    snapshot_id      BLOB NOT NULL UNIQUE CHECK (length(snapshot_id) = 16),
    stream_no        INTEGER NOT NULL REFERENCES streams (stream_no),
    stream_version   INTEGER NOT NULL CHECK (stream_version >= 1),
    snapshot_version INTEGER NOT NULL DEFAULT 1 CHECK (snapshot_version BETWEEN 1 AND 2147483647),
    recorded_at      INTEGER NOT NULL,
    state_bytes      INTEGER NOT NULL CHECK (state_bytes >= 0),
    state            TEXT NOT NULL CHECK (json_valid(state)),
    metadata         TEXT CHECK (metadata IS NULL OR (json_valid(metadata) AND json_type(metadata) = 'object')),
    PRIMARY KEY (stream_no, stream_version)
) STRICT;

CREATE INDEX snapshots_recorded ON snapshots (recorded_at);
