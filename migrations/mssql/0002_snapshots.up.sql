-- Aggregate states at a version of their stream. They only save time: any of them may be deleted, none is needed to read.

CREATE TABLE $(schema).snapshots (
    snapshot_id      UNIQUEIDENTIFIER NOT NULL CONSTRAINT uq_snapshots_id UNIQUE,
    stream_no        BIGINT NOT NULL CONSTRAINT fk_snapshots_stream REFERENCES $(schema).streams (stream_no),
    stream_version   BIGINT NOT NULL,
    snapshot_version INT NOT NULL,
    recorded_at      DATETIME2(6) NOT NULL,
    state_bytes      BIGINT NOT NULL,
    state            NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NOT NULL,
    metadata         NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_snapshots PRIMARY KEY (stream_no, stream_version),
    CONSTRAINT ck_snapshots CHECK (
        stream_version >= 1 AND snapshot_version >= 1 AND state_bytes >= 0 AND ISJSON(state) = 1
        AND (metadata IS NULL OR ISJSON(metadata) = 1))
);
GO
CREATE INDEX snapshots_recorded ON $(schema).snapshots (recorded_at);
GO
