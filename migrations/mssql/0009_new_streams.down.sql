-- append_to_stream is for streams that are there, as before.

SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO

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
            @stream_type NVARCHAR(64), @range BIGINT, @next BIGINT, @name NVARCHAR(255), @got INT, @nested BIT;
    SET XACT_ABORT ON;
    IF @@TRANCOUNT > 0
    BEGIN
        IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = @@SPID AND transaction_isolation_level <> 2)
            THROW 51012, N'an append has to be under READ COMMITTED', 1;
        SAVE TRANSACTION stele_append;
        SET @nested = 1;
    END
    ELSE SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET @recorded = SYSUTCDATETIME();
    BEGIN TRANSACTION;
    UPDATE $(schema).streams SET version = version + 1,
            last_recorded_at = CASE WHEN last_recorded_at > @recorded THEN last_recorded_at ELSE @recorded END
        WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    -- Whoever is not in it now has no lock: that the next statement may see it already is not the same.
    IF @@ROWCOUNT = 0
    BEGIN
        IF @nested = 1
        BEGIN
            ROLLBACK TRANSACTION stele_append;
            COMMIT TRANSACTION;
        END
        ELSE ROLLBACK TRANSACTION;
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
            IF @nested = 1
            BEGIN
                ROLLBACK TRANSACTION stele_append;
                COMMIT TRANSACTION;
            END
            ELSE ROLLBACK TRANSACTION;
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
