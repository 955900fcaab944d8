-- The procedures as migration 0001 made them, with what stood before each: the server keeps it.

SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO

-- An application lock until the transaction is over.
ALTER PROCEDURE $(schema).take_lock @name NVARCHAR(255), @mode NVARCHAR(32) AS
BEGIN
    DECLARE @got INT;
    EXEC @got = sp_getapplock @Resource = @name, @LockMode = @mode, @LockOwner = N'Transaction';
    IF @got < 0 THROW 51010, N'an application lock was not to be had', 1;
END
GO
-- Made anew, so that its rights have to be granted again: behind the character in its comment that is not ASCII, Babelfish
-- would write the CREATE of an ALTER to the wrong place.
DROP PROCEDURE $(schema).announce_positions;
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
ALTER PROCEDURE $(schema).settled_position @known BIGINT, @settled BIGINT OUTPUT AS
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
ALTER PROCEDURE $(schema).append_one
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
ALTER PROCEDURE $(schema).append_to_stream
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
