-- Readers see events as soon as each is settled, as before.

SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO

ALTER PROCEDURE $(schema).settled_position @known BIGINT, @settled BIGINT OUTPUT AS
BEGIN
    DECLARE @last BIGINT, @range BIGINT, @start BIGINT, @end BIGINT, @nothing NUMERIC(38, 0);
    SET XACT_ABORT ON;
    IF @@TRANCOUNT > 0
    BEGIN
        IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = @@SPID AND transaction_isolation_level <> 2)
            THROW 51012, N'the end of the log is not known to a transaction that is not under READ COMMITTED', 1;
    END
    ELSE SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
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

-- --- Roles -------------------------------------------------------------------------------------------------------------
--
-- A reader selects; a writer appends, keeps snapshots, runs projections and adds data subjects' keys too; an admin may do
-- the same, and governs: schemas and rules of event types, destroying keys, sealing the log. No role may change what is
-- append-only. To be repeated after a migration.

ALTER PROCEDURE $(schema).grant_roles @reader NVARCHAR(128), @writer NVARCHAR(128), @admin NVARCHAR(128) AS
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

DROP PROCEDURE $(schema).end_spans;
DROP PROCEDURE $(schema).begin_spans;
DROP TABLE $(schema).append_spans;
GO
