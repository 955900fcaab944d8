-- The event log: streams, commands, events and their attributes; and the procedures that append to it and say how far it
-- is settled. $(schema) stands for the quoted name of the store's schema. For SQL Server 2019 and later, Azure SQL, and
-- Babelfish, which is why there is neither CREATE OR ALTER nor MERGE, and why nothing relies on table hints.
--
-- SQL Server pads texts with blanks when it compares them, in a binary collation too, so 'a' equals 'a '. What has to be
-- told apart byte for byte is kept beside the text as UTF-8 (tenant_key, type_key, stream_key, source_key, request_key),
-- or with its length (idempotency_bytes, name_bytes).

SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO

CREATE TABLE $(schema).streams (
    stream_no        BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT pk_streams PRIMARY KEY,
    tenant_id        NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    stream_type      NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    stream_id        NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_key       VARBINARY(64) NOT NULL,
    type_key         VARBINARY(64) NOT NULL,
    stream_key       VARBINARY(255) NOT NULL,
    version          BIGINT NOT NULL,
    created_at       DATETIME2(6) NOT NULL,
    last_recorded_at DATETIME2(6) NOT NULL,
    CONSTRAINT uq_streams_key UNIQUE (tenant_key, type_key, stream_key),
    CONSTRAINT ck_streams CHECK (
        DATALENGTH(tenant_key) > 0 AND DATALENGTH(type_key) > 0 AND DATALENGTH(stream_key) > 0 AND version >= 1
        AND last_recorded_at >= created_at)
);
GO

CREATE TABLE $(schema).commands (
    command_no   BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT pk_commands PRIMARY KEY,
    tenant_id    NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    source       NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    request_id   NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_key   VARBINARY(64) NOT NULL,
    source_key   VARBINARY(64) NOT NULL,
    request_key  VARBINARY(255) NOT NULL,
    command_id   UNIQUEIDENTIFIER NOT NULL CONSTRAINT uq_commands_id UNIQUE,
    command_type NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    stream_type  NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    stream_id    NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    type_key     VARBINARY(64) NULL,
    stream_key   VARBINARY(255) NULL,
    actor_type   NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    actor_id     NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    channel      NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    data         NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,
    fingerprint  BINARY(32) NOT NULL,
    outcome      NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NOT NULL,
    recorded_at  DATETIME2(6) NOT NULL,
    CONSTRAINT uq_commands_key UNIQUE (tenant_key, source_key, request_key),
    CONSTRAINT ck_commands CHECK (
        DATALENGTH(tenant_key) > 0 AND DATALENGTH(source_key) > 0 AND DATALENGTH(request_key) > 0
        AND DATALENGTH(command_type) > 0
        AND (stream_type IS NULL AND stream_id IS NULL AND type_key IS NULL AND stream_key IS NULL
             OR stream_type IS NOT NULL AND stream_id IS NOT NULL AND DATALENGTH(type_key) > 0 AND DATALENGTH(stream_key) > 0
                AND type_key IS NOT NULL AND stream_key IS NOT NULL)
        AND (actor_type IS NULL AND actor_id IS NULL
             OR actor_type IN (N'user', N'service', N'agent', N'system') AND actor_type IS NOT NULL
                AND DATALENGTH(actor_id) > 0 AND actor_id IS NOT NULL)
        AND (channel IS NULL OR channel IN (N'ui', N'api', N'import', N'webhook', N'system'))
        AND (data IS NULL OR ISJSON(data) = 1) AND ISJSON(outcome) = 1)
);
GO

-- An event names its command by command_id, which the caller knows beforehand: commands are written after their events,
-- as their outcome holds the positions.
CREATE TABLE $(schema).events (
    global_position   BIGINT IDENTITY(1, 1) NOT NULL
                      CONSTRAINT pk_events PRIMARY KEY CLUSTERED WITH (OPTIMIZE_FOR_SEQUENTIAL_KEY = ON),
    stream_no         BIGINT NOT NULL CONSTRAINT fk_events_stream REFERENCES $(schema).streams (stream_no),
    stream_version    BIGINT NOT NULL,
    tenant_id         NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    stream_type       NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    event_id          UNIQUEIDENTIFIER NOT NULL,
    event_type        NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    event_version     INT NOT NULL,
    occurred_at       DATETIME2(6) NOT NULL,
    recorded_at       DATETIME2(6) NOT NULL,
    valid_from        DATETIME2(6) NULL,
    valid_to          DATETIME2(6) NULL,
    actor_type        NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    actor_id          NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    source            NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    channel           NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    command_id        UNIQUEIDENTIFIER NULL,
    idempotency_key   NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    idempotency_bytes INT NULL,
    causation_id      UNIQUEIDENTIFIER NULL,
    correlation_id    UNIQUEIDENTIFIER NULL,
    redaction_level   NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    contains_secrets  BIT NOT NULL,
    attribute_count   INT NOT NULL,
    data              NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NOT NULL,
    metadata          NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,
    policy_context    NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,
    model_context     NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,
    display           NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT ck_events CHECK (
        stream_version >= 1 AND event_version >= 1 AND attribute_count >= 0
        AND DATALENGTH(tenant_id) > 0 AND DATALENGTH(stream_type) > 0 AND DATALENGTH(event_type) > 0
        AND (valid_to IS NULL OR valid_from IS NULL OR valid_to > valid_from)
        AND (actor_type IS NULL AND actor_id IS NULL
             OR actor_type IN (N'user', N'service', N'agent', N'system') AND actor_type IS NOT NULL
                AND DATALENGTH(actor_id) > 0 AND actor_id IS NOT NULL)
        AND (source IS NULL OR DATALENGTH(source) > 0)
        AND (channel IS NULL OR channel IN (N'ui', N'api', N'import', N'webhook', N'system'))
        AND (idempotency_key IS NULL AND idempotency_bytes IS NULL
             OR DATALENGTH(idempotency_key) > 0 AND idempotency_key IS NOT NULL
                AND idempotency_bytes BETWEEN 1 AND 255 AND idempotency_bytes IS NOT NULL)
        AND redaction_level IN (N'none', N'partial', N'full')
        AND ISJSON(data) = 1
        AND (metadata IS NULL OR ISJSON(metadata) = 1 AND metadata LIKE N'{%')
        AND (policy_context IS NULL OR ISJSON(policy_context) = 1 AND policy_context LIKE N'{%')
        AND (model_context IS NULL OR ISJSON(model_context) = 1 AND model_context LIKE N'{%')
        AND (display IS NULL OR ISJSON(display) = 1 AND display LIKE N'{%'))
);
GO

-- Each index serves a named query. The position at the end gives the log's order within each value, and is all that a
-- filtered page of the log needs to know of an event before it was chosen.
CREATE UNIQUE INDEX events_event_id ON $(schema).events (event_id);
CREATE UNIQUE INDEX events_stream ON $(schema).events (stream_no, stream_version);
CREATE UNIQUE INDEX events_idempotency ON $(schema).events (stream_no, idempotency_key, idempotency_bytes)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX events_tenant ON $(schema).events (tenant_id, global_position) WHERE tenant_id <> N'default';
CREATE INDEX events_stream_type ON $(schema).events (stream_type, global_position);
CREATE INDEX events_type ON $(schema).events (event_type, global_position);
CREATE INDEX events_occurred ON $(schema).events (occurred_at, global_position);
CREATE INDEX events_recorded ON $(schema).events (recorded_at, global_position);
CREATE INDEX events_correlation ON $(schema).events (correlation_id, global_position) WHERE correlation_id IS NOT NULL;
CREATE INDEX events_causation ON $(schema).events (causation_id, global_position) WHERE causation_id IS NOT NULL;
CREATE INDEX commands_stream ON $(schema).commands (tenant_key, type_key, stream_key, command_no)
    WHERE stream_key IS NOT NULL;
GO

CREATE TABLE $(schema).event_attributes (
    global_position BIGINT NOT NULL CONSTRAINT fk_attributes_event REFERENCES $(schema).events (global_position),
    name            NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name_bytes      INT NOT NULL,
    value           NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_event_attributes PRIMARY KEY (global_position, name, name_bytes),
    CONSTRAINT ck_event_attributes CHECK (name_bytes BETWEEN 1 AND 64 AND DATALENGTH(name) > 0 AND DATALENGTH(value) > 0)
);
GO
CREATE INDEX event_attributes_value ON $(schema).event_attributes (name, value, global_position);
GO

-- Append-only, for the owner too. THROW ends the batch and rolls its transaction back.

CREATE TRIGGER $(schema).events_append_only ON $(schema).events AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'events are append-only: UPDATE and DELETE refused', 1;
END
GO
CREATE TRIGGER $(schema).event_attributes_append_only ON $(schema).event_attributes AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'event_attributes are append-only: UPDATE and DELETE refused', 1;
END
GO
CREATE TRIGGER $(schema).commands_append_only ON $(schema).commands AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'commands are append-only: UPDATE and DELETE refused', 1;
END
GO
CREATE TRIGGER $(schema).streams_no_delete ON $(schema).streams AFTER DELETE AS
BEGIN
    THROW 51001, N'streams are append-only: DELETE refused', 1;
END
GO

-- A stream's head moves forwards only. (An UPDATE that changes nothing takes its lock.)
CREATE TRIGGER $(schema).streams_only_forwards ON $(schema).streams AFTER UPDATE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d LEFT JOIN inserted AS i ON i.stream_no = d.stream_no
               WHERE i.stream_no IS NULL OR i.version < d.version OR i.last_recorded_at < d.last_recorded_at
                  OR i.created_at <> d.created_at OR i.tenant_key <> d.tenant_key OR i.type_key <> d.type_key
                  OR i.stream_key <> d.stream_key OR i.tenant_id <> d.tenant_id OR i.stream_type <> d.stream_type
                  OR i.stream_id <> d.stream_id)
        THROW 51002, N'streams only move forwards: UPDATE refused', 1;
END
GO

-- Events come in through Stele, which moves the stream's head first. With the unique index on versions this keeps them
-- dense: no event lies behind the head, and none takes another's place.
CREATE TRIGGER $(schema).events_no_stray ON $(schema).events AFTER INSERT AS
BEGIN
    IF EXISTS (SELECT 1 FROM inserted AS i JOIN $(schema).streams AS s ON s.stream_no = i.stream_no
               WHERE i.stream_version > s.version)
        THROW 51003, N'events are appended by Stele, which keeps their versions: INSERT refused', 1;
END
GO

-- An event has the attributes that it was written with.
CREATE TRIGGER $(schema).event_attributes_no_more ON $(schema).event_attributes AFTER INSERT AS
BEGIN
    IF EXISTS (SELECT 1 FROM $(schema).events AS e
               WHERE e.global_position IN (SELECT i.global_position FROM inserted AS i)
                 AND e.attribute_count < (SELECT COUNT(*) FROM $(schema).event_attributes AS a
                                          WHERE a.global_position = e.global_position))
        THROW 51004, N'events are append-only: this event has its attributes', 1;
END
GO

-- TRUNCATE fires no trigger, but it is refused for a table that another refers to, be that other one empty.
CREATE TABLE $(schema).truncate_guard (
    global_position BIGINT NOT NULL,
    name            NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name_bytes      INT NOT NULL,
    command_no      BIGINT NOT NULL CONSTRAINT fk_guard_commands REFERENCES $(schema).commands (command_no),
    stream_no       BIGINT NOT NULL CONSTRAINT fk_guard_streams REFERENCES $(schema).streams (stream_no),
    CONSTRAINT fk_guard_events FOREIGN KEY (global_position) REFERENCES $(schema).events (global_position),
    CONSTRAINT fk_guard_attributes FOREIGN KEY (global_position, name, name_bytes)
        REFERENCES $(schema).event_attributes (global_position, name, name_bytes),
    CONSTRAINT ck_guard_empty CHECK (stream_no < 0 AND stream_no > 0)
);
GO

-- An application lock until the transaction is over.
CREATE PROCEDURE $(schema).take_lock @name NVARCHAR(255), @mode NVARCHAR(32) AS
BEGIN
    DECLARE @got INT;
    EXEC @got = sp_getapplock @Resource = @name, @LockMode = @mode, @LockOwner = N'Transaction';
    IF @got < 0 THROW 51010, N'an application lock was not to be had', 1;
END
GO

-- --- Global order ------------------------------------------------------------------------------------------------------
--
-- Positions are an IDENTITY's, so a lower one may be committed after a higher one. An appender that has all its locks and
-- has checked everything tells what it is about to do, before it takes its first position: until its transaction is over it
-- holds a shared application lock, named by the range that the first position lies in that it may get:
--
--   …:range:<position / 256>
--
-- A reader that finds a position missing looks whether somebody in flight may have taken it. Nobody waits for anybody. The
-- proof, which needs every step here to come in this order, is in docs/decisions/0008-global-order-on-sql-server.md.

-- Inside a transaction, before its first INSERT into events.
CREATE PROCEDURE $(schema).announce_positions AS
BEGIN
    DECLARE @next BIGINT, @range BIGINT, @name NVARCHAR(255), @got INT;
    SELECT @next = (ISNULL(MAX(global_position), 0) + 1) / 256 FROM $(schema).events;
    WHILE @range IS NULL OR @range <> @next
    BEGIN
        SET @range = @next;
        SET @name = N'$(schema):range:' + CAST(@range AS NVARCHAR(20));
        EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Shared', @LockOwner = N'Transaction';
        IF @got < 0 THROW 51010, N'the lock of a range of positions was not to be had', 1;
        -- Whoever has meanwhile seen the log reach the next range may no longer look for anybody in this one.
        SELECT @next = (ISNULL(MAX(global_position), 0) + 1) / 256 FROM $(schema).events;
    END
END
GO

-- The last event's position up to which nothing can be committed any more; 0 when there is none. What it says holds for
-- statements that begin afterwards. @known is an earlier answer, or 0. A secondary has not its primary's application
-- locks, nor has anything else that only gets what others wrote: there it is refused.
CREATE PROCEDURE $(schema).settled_position @known BIGINT, @settled BIGINT OUTPUT AS
BEGIN
    DECLARE @last BIGINT, @range BIGINT, @start BIGINT, @end BIGINT, @nothing NUMERIC(38, 0);
    IF CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS NVARCHAR(128)) = N'READ_ONLY'
        THROW 51011, N'a read-only database does not know which appends are in flight: read the log on the primary', 1;
    SELECT @last = ISNULL(MAX(global_position), 0) FROM $(schema).events;
    SET @settled = @last;
    IF @last = @known RETURN;
    IF @last < @known SET @known = 0;  -- Another database than the one that gave this answer.

    -- The first range that somebody in flight began in. Babelfish fails now and then between taking a lock to look and
    -- giving it back, while others take it: so that it is given back nevertheless, it belongs to a transaction.
    SET @range = @known / 256;
    BEGIN TRANSACTION;
    WHILE @range <= @last / 256
        AND APPLOCK_TEST(N'public', N'$(schema):range:' + CAST(@range AS NVARCHAR(20)), N'IntentExclusive',
                         N'Transaction') = 1
    BEGIN
        SET @range = @range + 1;
        -- Nobody begins where nobody was before: a stretch that the server left out is passed over.
        IF @range % 64 = 0
            SELECT @range = ISNULL((MIN(global_position) + 1) / 256, @range) FROM $(schema).events
                WHERE global_position >= @range * 256 - 1;
    END
    IF @range > @last / 256
    BEGIN
        COMMIT TRANSACTION;
        RETURN;
    END
    -- Babelfish keeps an error for each lock that it says is held, and does not survive the sixth in one session. This makes
    -- it forget them; on SQL Server it is NULL.
    SET @nothing = IDENT_CURRENT(N'');
    COMMIT TRANSACTION;

    -- What is missing before it is dead; what is missing in it may come yet. What lies behind it waits for another call.
    SET @start = CASE WHEN @known >= @range * 256 THEN @known ELSE @range * 256 - 1 END;
    SET @end = CASE WHEN @last <= @range * 256 + 255 THEN @last ELSE @range * 256 + 255 END;
    SELECT @end = @start + COUNT(*)
        FROM (SELECT global_position, ROW_NUMBER() OVER (ORDER BY global_position) AS n FROM $(schema).events
              WHERE global_position > @start AND global_position <= @end) AS e
        WHERE e.global_position = @start + e.n;
    SELECT @settled = ISNULL(MAX(global_position), 0) FROM $(schema).events WHERE global_position <= @end;
END
GO

-- --- Append ------------------------------------------------------------------------------------------------------------

-- One event without attributes, to one stream, with or without a command about that stream: in one round trip and one
-- transaction. Everything else Stele does in steps.
--
-- @expected: the version, 0 being no stream; -1 any; -2 the stream exists. @stream_lock is the name of the lock of streams
-- that do not exist yet. @outcome is the command's outcome up to its positions. Parameters cost time: what most events have
-- comes first, and a call leaves out what is NULL at the end.
--
-- Answers with one row. status: 0 appended, 1 replayed, 2 the request was made with another content, 3 the command's id is
-- another's, 4 conflict, 5 the event's id or its idempotency key is there already. version is the stream's afterwards; unless
-- appended, as it was. outcome is the command's first one, when it is replayed.
CREATE PROCEDURE $(schema).append_one
    @tenant_id NVARCHAR(64), @stream_type NVARCHAR(64), @stream_id NVARCHAR(255),
    @tenant_key VARBINARY(64), @type_key VARBINARY(64), @stream_key VARBINARY(255), @stream_lock NVARCHAR(255),
    @expected BIGINT, @event_id UNIQUEIDENTIFIER, @event_id_given BIT, @event_type NVARCHAR(128), @event_version INT,
    @occurred_at DATETIME2(6), @data NVARCHAR(MAX),
    @actor_type NVARCHAR(16) = NULL, @actor_id NVARCHAR(255) = NULL, @source NVARCHAR(64) = NULL,
    @channel NVARCHAR(16) = NULL, @correlation_id UNIQUEIDENTIFIER = NULL, @causation_id UNIQUEIDENTIFIER = NULL,
    @metadata NVARCHAR(MAX) = NULL,
    @command_id UNIQUEIDENTIFIER = NULL, @command_id_given BIT = NULL, @request_source NVARCHAR(64) = NULL,
    @request_id NVARCHAR(255) = NULL, @source_key VARBINARY(64) = NULL, @request_key VARBINARY(255) = NULL,
    @command_type NVARCHAR(128) = NULL, @fingerprint BINARY(32) = NULL, @outcome NVARCHAR(MAX) = NULL,
    @command_actor_type NVARCHAR(16) = NULL, @command_actor_id NVARCHAR(255) = NULL,
    @command_channel NVARCHAR(16) = NULL, @command_data NVARCHAR(MAX) = NULL,
    @redaction_level NVARCHAR(16) = NULL, @contains_secrets BIT = NULL, @idempotency_key NVARCHAR(255) = NULL,
    @idempotency_bytes INT = NULL, @valid_from DATETIME2(6) = NULL, @valid_to DATETIME2(6) = NULL,
    @policy_context NVARCHAR(MAX) = NULL, @model_context NVARCHAR(MAX) = NULL, @display NVARCHAR(MAX) = NULL
AS
BEGIN
    DECLARE @status INT, @stream_no BIGINT, @version BIGINT, @position BIGINT, @recorded DATETIME2(6), @found BINARY(32),
            @known NVARCHAR(MAX), @got INT;
    SET @status = 0;
    SET @version = 0;
    SET @recorded = SYSUTCDATETIME();
    BEGIN TRANSACTION;

    -- The stream's lock is its row's, and as long as there is none, its name's.
    UPDATE $(schema).streams SET version = version + 1,
            last_recorded_at = CASE WHEN last_recorded_at > @recorded THEN last_recorded_at ELSE @recorded END
        WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    IF @@ROWCOUNT = 0
    BEGIN
        EXEC @got = sp_getapplock @Resource = @stream_lock, @LockMode = N'Exclusive', @LockOwner = N'Transaction';
        IF @got < 0 THROW 51010, N'the lock of a new stream was not to be had', 1;
        -- Somebody may have made it meanwhile.
        IF EXISTS (SELECT 1 FROM $(schema).streams
                   WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key)
            UPDATE $(schema).streams SET version = version + 1,
                    last_recorded_at = CASE WHEN last_recorded_at > @recorded THEN last_recorded_at ELSE @recorded END
                WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    END
    SELECT @stream_no = stream_no, @version = version - 1, @recorded = last_recorded_at FROM $(schema).streams
        WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;

    IF @request_key IS NOT NULL
    BEGIN
        SELECT @found = fingerprint, @known = outcome FROM $(schema).commands
            WHERE tenant_key = @tenant_key AND source_key = @source_key AND request_key = @request_key;
        IF @found IS NOT NULL
            SET @status = CASE WHEN @found = @fingerprint THEN 1 ELSE 2 END;
        ELSE IF @command_id_given = 1
        BEGIN
            IF EXISTS (SELECT 1 FROM $(schema).commands WHERE command_id = @command_id) SET @status = 3;
        END
    END
    -- A query inside of an IF is made whatever stands beside it.
    IF @status = 0 AND @event_id_given = 1
    BEGIN
        IF EXISTS (SELECT 1 FROM $(schema).events WHERE event_id = @event_id) SET @status = 5;
    END
    IF @status = 0 AND @idempotency_key IS NOT NULL
    BEGIN
        IF EXISTS (SELECT 1 FROM $(schema).events WHERE stream_no = @stream_no AND idempotency_key = @idempotency_key
                                                    AND idempotency_bytes = @idempotency_bytes)
            SET @status = 5;
    END
    IF @status = 0 AND (@expected >= 0 AND @version <> @expected OR @expected = -2 AND @version = 0) SET @status = 4;
    IF @status <> 0
    BEGIN
        ROLLBACK TRANSACTION;
        SELECT @status AS status, @version AS version, @position AS position,
               CASE WHEN @status = 1 THEN @known END AS outcome;
        RETURN;
    END

    SET @version = @version + 1;
    IF @stream_no IS NULL
    BEGIN
        INSERT INTO $(schema).streams (tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, version,
                                       created_at, last_recorded_at)
            VALUES (@tenant_id, @stream_type, @stream_id, @tenant_key, @type_key, @stream_key, 1, @recorded, @recorded);
        SET @stream_no = SCOPE_IDENTITY();
    END

    EXEC $(schema).announce_positions;
    INSERT INTO $(schema).events (
            stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, recorded_at,
            valid_from, valid_to, actor_type, actor_id, source, channel, command_id, idempotency_key, idempotency_bytes,
            causation_id, correlation_id, redaction_level, contains_secrets, attribute_count, data, metadata,
            policy_context, model_context, display)
        VALUES (
            @stream_no, @version, @tenant_id, @stream_type, @event_id, @event_type, @event_version, @occurred_at, @recorded,
            @valid_from, @valid_to, @actor_type, @actor_id, @source, @channel, @command_id, @idempotency_key,
            @idempotency_bytes, @causation_id, @correlation_id, ISNULL(@redaction_level, N'none'),
            ISNULL(@contains_secrets, 0), 0, @data, @metadata, @policy_context, @model_context, @display);
    SET @position = SCOPE_IDENTITY();

    IF @request_key IS NOT NULL
        INSERT INTO $(schema).commands (
                tenant_id, source, request_id, tenant_key, source_key, request_key, command_id, command_type, stream_type,
                stream_id, type_key, stream_key, actor_type, actor_id, channel, data, fingerprint, outcome, recorded_at)
            VALUES (
                @tenant_id, @request_source, @request_id, @tenant_key, @source_key, @request_key, @command_id, @command_type,
                @stream_type, @stream_id, @type_key, @stream_key, @command_actor_type, @command_actor_id,
                @command_channel, @command_data, @fingerprint,
                @outcome + N',"first_version":' + CAST(@version AS NVARCHAR(20))
                    + N',"last_version":' + CAST(@version AS NVARCHAR(20))
                    + N',"first_position":' + CAST(@position AS NVARCHAR(20))
                    + N',"last_position":' + CAST(@position AS NVARCHAR(20)) + N'}]',
                @recorded);
    -- Before the commit: behind it nothing is left that could fail.
    SELECT @status AS status, @version AS version, @position AS position, NULL AS outcome;
    COMMIT TRANSACTION;
END
GO

-- The same for what most appends are: an event without a command, an idempotency key and the like, to a stream that is
-- there. Each parameter costs time, whether it is used or not, and so does each statement: so it has no more of them than
-- it needs. What append_one is told of the stream, it reads from the stream's row.
--
-- @expected: the version, from 1; -1 any; -2 the stream exists. status: 0 appended, 4 conflict, 5 the event's id is there
-- already, 6 there is no such stream: nothing was done, append_one decides.
CREATE PROCEDURE $(schema).append_to_stream
    @tenant_key VARBINARY(64), @type_key VARBINARY(64), @stream_key VARBINARY(255), @expected BIGINT,
    @event_id UNIQUEIDENTIFIER, @event_id_given BIT, @event_type NVARCHAR(128), @event_version INT,
    @occurred_at DATETIME2(6), @data NVARCHAR(MAX),
    @actor_type NVARCHAR(16) = NULL, @actor_id NVARCHAR(255) = NULL, @source NVARCHAR(64) = NULL,
    @channel NVARCHAR(16) = NULL, @correlation_id UNIQUEIDENTIFIER = NULL, @causation_id UNIQUEIDENTIFIER = NULL,
    @metadata NVARCHAR(MAX) = NULL
AS
BEGIN
    DECLARE @status INT, @stream_no BIGINT, @version BIGINT, @recorded DATETIME2(6), @tenant_id NVARCHAR(64),
            @stream_type NVARCHAR(64), @range BIGINT, @next BIGINT, @name NVARCHAR(255), @got INT;
    SET @recorded = SYSUTCDATETIME();
    BEGIN TRANSACTION;
    UPDATE $(schema).streams SET version = version + 1,
            last_recorded_at = CASE WHEN last_recorded_at > @recorded THEN last_recorded_at ELSE @recorded END
        WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    -- Whoever is not in it now has no lock: that the next statement may see it already is not the same.
    IF @@ROWCOUNT = 0
    BEGIN
        ROLLBACK TRANSACTION;
        SELECT 6 AS status, CAST(0 AS BIGINT) AS version, CAST(NULL AS BIGINT) AS position;
        RETURN;
    END
    SELECT @stream_no = stream_no, @version = version, @recorded = last_recorded_at, @tenant_id = tenant_id,
           @stream_type = stream_type
        FROM $(schema).streams WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    IF @event_id_given = 1 OR @expected >= 0
    BEGIN
        IF @event_id_given = 1
        BEGIN
            IF EXISTS (SELECT 1 FROM $(schema).events WHERE event_id = @event_id) SET @status = 5;
        END
        IF @status IS NULL AND @expected >= 0 AND @version - 1 <> @expected SET @status = 4;
        IF @status IS NOT NULL
        BEGIN
            ROLLBACK TRANSACTION;
            SELECT @status AS status, @version - 1 AS version, CAST(NULL AS BIGINT) AS position;
            RETURN;
        END
    END

    -- announce_positions, where nothing happens meanwhile.
    SELECT @range = (ISNULL(MAX(global_position), 0) + 1) / 256 FROM $(schema).events;
    SET @name = N'$(schema):range:' + CAST(@range AS NVARCHAR(20));
    EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Shared', @LockOwner = N'Transaction';
    IF @got < 0 THROW 51010, N'the lock of a range of positions was not to be had', 1;
    SELECT @next = (ISNULL(MAX(global_position), 0) + 1) / 256 FROM $(schema).events;
    IF @next <> @range EXEC $(schema).announce_positions;

    INSERT INTO $(schema).events (
            stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, recorded_at,
            actor_type, actor_id, source, channel, causation_id, correlation_id, redaction_level, contains_secrets,
            attribute_count, data, metadata)
        VALUES (
            @stream_no, @version, @tenant_id, @stream_type, @event_id, @event_type, @event_version, @occurred_at, @recorded,
            @actor_type, @actor_id, @source, @channel, @causation_id, @correlation_id, N'none', 0, 0, @data, @metadata);
    -- Before the commit: behind it nothing is left that could fail.
    SELECT 0 AS status, @version AS version, CAST(SCOPE_IDENTITY() AS BIGINT) AS position;
    COMMIT TRANSACTION;
END
GO

-- --- For people with a SQL prompt --------------------------------------------------------------------------------------

CREATE VIEW $(schema).event_log AS
SELECT
    e.global_position,
    e.tenant_id,
    e.stream_type,
    s.stream_id,
    e.stream_version,
    e.event_id,
    e.event_type,
    e.event_version,
    e.occurred_at,
    e.recorded_at,
    e.valid_from,
    e.valid_to,
    e.actor_type,
    e.actor_id,
    e.source,
    e.channel,
    c.source AS command_source,
    c.request_id,
    e.idempotency_key,
    e.causation_id,
    e.correlation_id,
    e.redaction_level,
    e.contains_secrets,
    e.data,
    e.metadata,
    e.policy_context,
    e.model_context,
    e.display,
    CASE WHEN e.attribute_count > 0 THEN
        (SELECT N'{' + STRING_AGG(CAST(N'"' + STRING_ESCAPE(a.name, N'json') + N'":"' + STRING_ESCAPE(a.value, N'json') + N'"'
                                       AS NVARCHAR(MAX)), N',') + N'}'
         FROM $(schema).event_attributes AS a WHERE a.global_position = e.global_position) END AS attributes
FROM $(schema).events AS e
JOIN $(schema).streams AS s ON s.stream_no = e.stream_no
LEFT JOIN $(schema).commands AS c ON c.command_id = e.command_id;
GO

-- --- Roles -------------------------------------------------------------------------------------------------------------
--
-- A reader selects; a writer appends, keeps snapshots, runs projections and adds data subjects' keys too; an admin may do
-- the same, and governs: schemas and rules of event types, destroying keys, sealing the log. No role may change what is
-- append-only. To be repeated after a migration.

CREATE PROCEDURE $(schema).grant_roles @reader NVARCHAR(128), @writer NVARCHAR(128), @admin NVARCHAR(128) AS
BEGIN
    DECLARE @number INT, @name NVARCHAR(128), @role NVARCHAR(260), @sql NVARCHAR(MAX);
    SET @number = 1;
    WHILE @number <= 3
    BEGIN
        SET @name = CASE @number WHEN 1 THEN @reader WHEN 2 THEN @writer ELSE @admin END;
        SET @role = QUOTENAME(@name);
        IF DATABASE_PRINCIPAL_ID(@name) IS NULL EXEC (N'CREATE ROLE ' + @role);
        SET @sql = N'GRANT SELECT ON SCHEMA::$(schema) TO ' + @role
            + N'; GRANT EXECUTE ON $(schema).settled_position TO ' + @role + N';';
        IF @number > 1
        BEGIN
            SET @sql = @sql
                + N' GRANT INSERT ON $(schema).events TO ' + @role
                + N'; GRANT INSERT ON $(schema).event_attributes TO ' + @role
                + N'; GRANT INSERT ON $(schema).commands TO ' + @role
                + N'; GRANT INSERT ON $(schema).streams TO ' + @role
                + N'; GRANT UPDATE (version, last_recorded_at) ON $(schema).streams TO ' + @role
                + N'; GRANT EXECUTE ON $(schema).append_one TO ' + @role
                + N'; GRANT EXECUTE ON $(schema).append_to_stream TO ' + @role
                + N'; GRANT EXECUTE ON $(schema).announce_positions TO ' + @role
                + N'; GRANT EXECUTE ON $(schema).take_lock TO ' + @role + N';';
            -- What readers keep, and what can be made again; of later migrations.
            IF OBJECT_ID(N'$(schema).snapshots') IS NOT NULL
                SET @sql = @sql + N' GRANT INSERT, UPDATE, DELETE ON $(schema).snapshots TO ' + @role + N';';
            IF OBJECT_ID(N'$(schema).projections') IS NOT NULL
                SET @sql = @sql + N' GRANT INSERT, UPDATE, DELETE ON $(schema).projections TO ' + @role
                    + N'; GRANT INSERT, UPDATE, DELETE ON $(schema).projection_offsets TO ' + @role
                    + N'; GRANT INSERT, UPDATE, DELETE ON $(schema).projection_members TO ' + @role
                    + N'; GRANT INSERT, UPDATE, DELETE ON $(schema).dead_letters TO ' + @role + N';';
            IF OBJECT_ID(N'$(schema).subject_keys') IS NOT NULL
                SET @sql = @sql + N' GRANT INSERT ON $(schema).subject_keys TO ' + @role + N';';
        END
        IF @number = 3 AND OBJECT_ID(N'$(schema).subject_keys') IS NOT NULL
            SET @sql = @sql
                + N' GRANT UPDATE ON $(schema).subject_keys TO ' + @role
                + N'; GRANT INSERT, DELETE ON $(schema).event_schemas TO ' + @role
                + N'; GRANT INSERT, UPDATE ON $(schema).event_type_rules TO ' + @role
                + N'; GRANT INSERT ON $(schema).event_hashes TO ' + @role
                + N'; GRANT INSERT ON $(schema).log_seals TO ' + @role + N';';
        -- Babelfish checks a reference with the rights of who inserts or deletes, and asks for that of changing a column of
        -- both rows. (The trigger refuses the change; the guard has no row.)
        IF @number > 1 AND SERVERPROPERTY(N'BabelfishVersion') IS NOT NULL
            SET @sql = @sql + N' GRANT UPDATE (attribute_count) ON $(schema).events TO ' + @role + N';';
        IF @number = 3 AND SERVERPROPERTY(N'BabelfishVersion') IS NOT NULL
            AND OBJECT_ID(N'$(schema).event_schemas') IS NOT NULL
            SET @sql = @sql
                + N' GRANT UPDATE (recorded_at) ON $(schema).event_schemas TO ' + @role
                + N'; GRANT UPDATE (seal_number) ON $(schema).governance_truncate_guard TO ' + @role + N';';
        -- Babelfish knows no DENY; there a role has only what it was granted.
        IF SERVERPROPERTY(N'BabelfishVersion') IS NULL
            SET @sql = @sql
                + N' DENY UPDATE, DELETE ON $(schema).events TO ' + @role
                + N'; DENY UPDATE, DELETE ON $(schema).event_attributes TO ' + @role
                + N'; DENY UPDATE, DELETE ON $(schema).commands TO ' + @role
                + N'; DENY DELETE ON $(schema).streams TO ' + @role + N';';
        IF SERVERPROPERTY(N'BabelfishVersion') IS NULL AND OBJECT_ID(N'$(schema).subject_keys') IS NOT NULL
            SET @sql = @sql
                + N' DENY UPDATE, DELETE ON $(schema).event_hashes TO ' + @role
                + N'; DENY UPDATE, DELETE ON $(schema).log_seals TO ' + @role
                + N'; DENY UPDATE ON $(schema).event_schemas TO ' + @role
                + N'; DENY DELETE ON $(schema).event_type_rules TO ' + @role
                + N'; DENY DELETE ON $(schema).subject_keys TO ' + @role + N';';
        EXEC (@sql);
        SET @number = @number + 1;
    END
END
GO
