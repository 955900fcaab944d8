-- The schema that the migrations make, for reading and for comparison; made by the test of it. Not a script.

constraint append_spans_rise on append_spans
    CHECK ((first_position < last_position))

constraint ck_commands on commands
    CHECK (((datalength(tenant_key) > 0) AND (datalength(source_key) > 0) AND (datalength(request_key) > 0) AND (datalength(command_type) > 0) AND (((stream_type IS NULL) AND (stream_id IS NULL) AND (type_key IS NULL) AND (stream_key IS NULL)) OR ((stream_type IS NOT NULL) AND (stream_id IS NOT NULL) AND (datalength(type_key) > 0) AND (datalength(stream_key) > 0) AND (type_key IS NOT NULL) AND (stream_key IS NOT NULL))) AND (((actor_type IS NULL) AND (actor_id IS NULL)) OR (((actor_type)::"varchar" = ANY ((ARRAY[('user'::"varchar")::nvarchar(4), ('service'::"varchar")::nvarchar(7), ('agent'::"varchar")::nvarchar(5), ('system'::"varchar")::nvarchar(6)])::"varchar"[])) AND (actor_type IS NOT NULL) AND (datalength(actor_id) > 0) AND (actor_id IS NOT NULL))) AND ((channel IS NULL) OR ((channel)::"varchar" = ANY ((ARRAY[('ui'::"varchar")::nvarchar(2), ('api'::"varchar")::nvarchar(3), ('import'::"varchar")::nvarchar(6), ('webhook'::"varchar")::nvarchar(7), ('system'::"varchar")::nvarchar(6)])::"varchar"[]))) AND ((data IS NULL) OR (isjson((data)::text) = 1)) AND (isjson((outcome)::text) = 1)))

constraint ck_dead_letters on dead_letters
    CHECK (((global_position >= 1) AND (attempts >= 1)))

constraint ck_event_attributes on event_attributes
    CHECK ((((name_bytes >= 1) AND (name_bytes <= 64)) AND (datalength(name) > 0) AND (datalength(value) > 0)))

constraint ck_event_hashes on event_hashes
    CHECK ((global_position >= 1))

constraint ck_event_schemas on event_schemas
    CHECK (((datalength(tenant_key) > 0) AND (datalength(type_key) > 0) AND (event_version >= 1) AND (isjson((((('['::"varchar")::nvarchar(1) + schema_text) + (']'::"varchar")::nvarchar(1)))::text) = 1)))

constraint ck_event_type_rules on event_type_rules
    CHECK (((datalength(tenant_key) > 0) AND (datalength(type_key) > 0) AND ((schema_mode)::"varchar" = ANY ((ARRAY[('off'::"varchar")::nvarchar(3), ('warn'::"varchar")::nvarchar(4), ('enforce'::"varchar")::nvarchar(7)])::"varchar"[])) AND (isjson((masked)::text) = 1) AND (("left"(masked, 1))::"varchar" = (('['::"varchar")::nvarchar(1))::"varchar") AND ((keep_days IS NULL) OR (keep_days >= 0)) AND (revision >= 1)))

constraint ck_events on events
    CHECK (((stream_version >= 1) AND (event_version >= 1) AND (attribute_count >= 0) AND (datalength(tenant_id) > 0) AND (datalength(stream_type) > 0) AND (datalength(event_type) > 0) AND ((valid_to IS NULL) OR (valid_from IS NULL) OR (valid_to > valid_from)) AND (((actor_type IS NULL) AND (actor_id IS NULL)) OR (((actor_type)::"varchar" = ANY ((ARRAY[('user'::"varchar")::nvarchar(4), ('service'::"varchar")::nvarchar(7), ('agent'::"varchar")::nvarchar(5), ('system'::"varchar")::nvarchar(6)])::"varchar"[])) AND (actor_type IS NOT NULL) AND (datalength(actor_id) > 0) AND (actor_id IS NOT NULL))) AND ((source IS NULL) OR (datalength(source) > 0)) AND ((channel IS NULL) OR ((channel)::"varchar" = ANY ((ARRAY[('ui'::"varchar")::nvarchar(2), ('api'::"varchar")::nvarchar(3), ('import'::"varchar")::nvarchar(6), ('webhook'::"varchar")::nvarchar(7), ('system'::"varchar")::nvarchar(6)])::"varchar"[]))) AND (((idempotency_key IS NULL) AND (idempotency_bytes IS NULL)) OR ((datalength(idempotency_key) > 0) AND (idempotency_key IS NOT NULL) AND ((idempotency_bytes >= 1) AND (idempotency_bytes <= 255)) AND (idempotency_bytes IS NOT NULL))) AND ((redaction_level)::"varchar" = ANY ((ARRAY[('none'::"varchar")::nvarchar(4), ('partial'::"varchar")::nvarchar(7), ('full'::"varchar")::nvarchar(4)])::"varchar"[])) AND (isjson((data)::text) = 1) AND ((metadata IS NULL) OR ((isjson((metadata)::text) = 1) AND ((metadata)::text ~~ (('{%'::"varchar")::nvarchar(2))::text))) AND ((policy_context IS NULL) OR ((isjson((policy_context)::text) = 1) AND ((policy_context)::text ~~ (('{%'::"varchar")::nvarchar(2))::text))) AND ((model_context IS NULL) OR ((isjson((model_context)::text) = 1) AND ((model_context)::text ~~ (('{%'::"varchar")::nvarchar(2))::text))) AND ((display IS NULL) OR ((isjson((display)::text) = 1) AND ((display)::text ~~ (('{%'::"varchar")::nvarchar(2))::text)))))

constraint ck_governance_guard_empty on governance_truncate_guard
    CHECK (((seal_number < 0) AND (seal_number > 0)))

constraint ck_guard_empty on truncate_guard
    CHECK (((stream_no < 0) AND (stream_no > 0)))

constraint ck_log_seals on log_seals
    CHECK (((seal_number >= 1) AND (after_position >= 0) AND (to_position >= after_position) AND (events >= 0)))

constraint ck_projection_kinds on projections
    CHECK (((kind IS NULL) OR ((kind)::"varchar" = ANY ((ARRAY[('projection'::"varchar")::nvarchar(10), ('subscription'::"varchar")::nvarchar(12), ('relay'::"varchar")::nvarchar(5), ('inline'::"varchar")::nvarchar(6)])::"varchar"[]))))

constraint ck_projection_members on projection_members
    CHECK ((datalength(member_key) > 0))

constraint ck_projection_offsets on projection_offsets
    CHECK (((generation >= 1) AND ((part >= 0) AND (part <= 63)) AND (last_position >= 0) AND (fence >= 0)))

constraint ck_projections on projections
    CHECK (((datalength(projection_key) > 0) AND ((parts >= 1) AND (parts <= 64)) AND (active_generation >= 1)))

constraint ck_snapshots on snapshots
    CHECK (((stream_version >= 1) AND (snapshot_version >= 1) AND (state_bytes >= 0) AND (isjson((state)::text) = 1) AND ((metadata IS NULL) OR (isjson((metadata)::text) = 1))))

constraint ck_streams on streams
    CHECK (((datalength(tenant_key) > 0) AND (datalength(type_key) > 0) AND (datalength(stream_key) > 0) AND (version >= 1) AND (last_recorded_at >= created_at)))

constraint ck_subject_keys on subject_keys
    CHECK (((datalength(tenant_key) > 0) AND (((wrapped IS NULL) AND (master_key_id IS NULL) AND (destroyed_at IS NOT NULL)) OR ((datalength(wrapped) > 0) AND (wrapped IS NOT NULL) AND (datalength(master_key_id) > 0) AND (master_key_id IS NOT NULL) AND (destroyed_at IS NULL))) AND (((subject IS NULL) AND (subject_key IS NULL) AND (destroyed_at IS NOT NULL)) OR ((subject IS NOT NULL) AND (subject_key IS NOT NULL) AND (datalength(subject_key) > 0)))))

constraint fk_attributes_event on event_attributes
    global_position REFERENCES events.global_position

constraint fk_events_stream on events
    stream_no REFERENCES streams.stream_no

constraint fk_guard_attributes on truncate_guard
    global_position REFERENCES event_attributes.global_position
    name REFERENCES event_attributes.name
    name_bytes REFERENCES event_attributes.name_bytes

constraint fk_guard_commands on truncate_guard
    command_no REFERENCES commands.command_no

constraint fk_guard_events on truncate_guard
    global_position REFERENCES events.global_position

constraint fk_guard_hashes on governance_truncate_guard
    global_position REFERENCES event_hashes.global_position

constraint fk_guard_keys on governance_truncate_guard
    key_id REFERENCES subject_keys.key_id

constraint fk_guard_rules on governance_truncate_guard
    tenant_key REFERENCES event_type_rules.tenant_key
    type_key REFERENCES event_type_rules.type_key

constraint fk_guard_schemas on governance_truncate_guard
    tenant_key REFERENCES event_schemas.tenant_key
    type_key REFERENCES event_schemas.type_key
    event_version REFERENCES event_schemas.event_version

constraint fk_guard_seals on governance_truncate_guard
    seal_number REFERENCES log_seals.seal_number

constraint fk_guard_streams on truncate_guard
    stream_no REFERENCES streams.stream_no

constraint fk_letters_offset on dead_letters
    projection_key REFERENCES projection_offsets.projection_key ON DELETE CASCADE
    tenant_key REFERENCES projection_offsets.tenant_key ON DELETE CASCADE
    generation REFERENCES projection_offsets.generation ON DELETE CASCADE
    part REFERENCES projection_offsets.part ON DELETE CASCADE

constraint fk_members_projection on projection_members
    projection_key REFERENCES projections.projection_key ON DELETE CASCADE
    tenant_key REFERENCES projections.tenant_key ON DELETE CASCADE

constraint fk_offsets_projection on projection_offsets
    projection_key REFERENCES projections.projection_key ON DELETE CASCADE
    tenant_key REFERENCES projections.tenant_key ON DELETE CASCADE

constraint fk_snapshots_stream on snapshots
    stream_no REFERENCES streams.stream_no

index append_spans_key on append_spans
    last_position UNIQUE PRIMARY KEY

index commands_streamcommands0627c490e26659a71b70424b93bb713b on commands
    tenant_key
    type_key
    stream_key
    command_no

index event_attributes_valueevent_att4fcc9493a13cc7fa3399da4fee4a6c4f on event_attributes
    name
    value
    global_position

index events_causationevents314d58b42a68c8771a8a29e149082f0d on events
    causation_id
    global_position

index events_correlationevents5980b19ee9cc2c3523d6e1d5f0313b29 on events
    correlation_id
    global_position

index events_event_ideventsad4045241662d64452b2ca102ec8a252 on events
    event_id UNIQUE

index events_idempotencyevents1c5f45a9034827f05b5510f3ec53507a on events
    stream_no UNIQUE
    idempotency_key UNIQUE
    idempotency_bytes UNIQUE

index events_occurredevents807120ee52e6af5a3a3b9285efcebb05 on events
    occurred_at
    global_position

index events_recordedeventsb0b8e2a16f38392cb6e30b1e90b912af on events
    recorded_at
    global_position

index events_stream_typeevents9bfa9a65b5e7230a7ac75e3f35e7df51 on events
    stream_type
    global_position

index events_streamevents8c24a4af2a6784691f842a616fa04e48 on events
    stream_no UNIQUE
    stream_version UNIQUE

index events_tenantevents9e53f8a63362e994457e2e609cf831f3 on events
    tenant_id
    global_position

index events_typeevents2d5937375decacffbb606766b5ddbc17 on events
    event_type
    global_position

index pk_commands on commands
    command_no UNIQUE PRIMARY KEY

index pk_dead_letters on dead_letters
    projection_key UNIQUE PRIMARY KEY
    tenant_key UNIQUE PRIMARY KEY
    global_position UNIQUE PRIMARY KEY
    generation UNIQUE PRIMARY KEY
    part UNIQUE PRIMARY KEY

index pk_event_attributes on event_attributes
    global_position UNIQUE PRIMARY KEY
    name UNIQUE PRIMARY KEY
    name_bytes UNIQUE PRIMARY KEY

index pk_event_hashes on event_hashes
    global_position UNIQUE PRIMARY KEY

index pk_event_schemas on event_schemas
    tenant_key UNIQUE PRIMARY KEY
    type_key UNIQUE PRIMARY KEY
    event_version UNIQUE PRIMARY KEY

index pk_event_type_rules on event_type_rules
    tenant_key UNIQUE PRIMARY KEY
    type_key UNIQUE PRIMARY KEY

index pk_events on events
    global_position UNIQUE PRIMARY KEY

index pk_log_seals on log_seals
    seal_number UNIQUE PRIMARY KEY

index pk_projection_members on projection_members
    projection_key UNIQUE PRIMARY KEY
    tenant_key UNIQUE PRIMARY KEY
    member_key UNIQUE PRIMARY KEY

index pk_projection_offsets on projection_offsets
    projection_key UNIQUE PRIMARY KEY
    tenant_key UNIQUE PRIMARY KEY
    generation UNIQUE PRIMARY KEY
    part UNIQUE PRIMARY KEY

index pk_projections on projections
    projection_key UNIQUE PRIMARY KEY
    tenant_key UNIQUE PRIMARY KEY

index pk_snapshots on snapshots
    stream_no UNIQUE PRIMARY KEY
    stream_version UNIQUE PRIMARY KEY

index pk_streams on streams
    stream_no UNIQUE PRIMARY KEY

index pk_subject_keys on subject_keys
    key_id UNIQUE PRIMARY KEY

index snapshots_recordedsnapshots16fa36a8d60e6e9c4e1ac6b8ac8ed59b on snapshots
    recorded_at

index subject_keys_subjectsubject_keyfbd01d5105b54d6bc9ff0a798ae07d2b on subject_keys
    tenant_key UNIQUE
    subject_key UNIQUE

index subject_keys_tenantsubject_keyscc06140b95a2b78c1de7e65a3766c5e1 on subject_keys
    tenant_key
    key_bytes

index uq_commands_id on commands
    command_id UNIQUE

index uq_commands_key on commands
    tenant_key UNIQUE
    source_key UNIQUE
    request_key UNIQUE

index uq_snapshots_id on snapshots
    snapshot_id UNIQUE

index uq_streams_key on streams
    tenant_key UNIQUE
    type_key UNIQUE
    stream_key UNIQUE

procedure announce_positions
    
-- Inside a transaction, before its first INSERT into events. It does without the look at the session, which every append
-- in steps would pay for: its own reads are under READ COMMITTED on SQL Server, whatever is around it, and Babelfish refuses.
CREATE PROCEDURE $(schema).announce_positions AS
BEGIN
    DECLARE @next BIGINT, @range BIGINT, @name NVARCHAR(255), @got INT;
    SET XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
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


procedure append_one
    
-- @stream_lock is not used any more.
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
            @known NVARCHAR(MAX), @range BIGINT, @next BIGINT, @name NVARCHAR(255), @got INT, @nested BIT;
    SET XACT_ABORT ON;
    IF @@TRANCOUNT > 0
    BEGIN
        IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = @@SPID AND transaction_isolation_level <> 2)
            THROW 51012, N'an append has to be under READ COMMITTED', 1;
        SAVE TRANSACTION stele_append;
        SET @nested = 1;
    END
    ELSE SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
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
        SET @name = N'$(schema):stream:' + CAST(CAST(SUBSTRING(HASHBYTES(
            'SHA2_256', @tenant_id + NCHAR(31) + @stream_type + NCHAR(31) + @stream_id), 1, 8) AS BIGINT) AS NVARCHAR(20));
        EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Exclusive', @LockOwner = N'Transaction';
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
                                                    AND idempotency_bytes = @idempotency_bytes
                                                    AND idempotency_key IS NOT NULL)
            SET @status = 5;
    END
    IF @status = 0 AND (@expected >= 0 AND @version <> @expected OR @expected = -2 AND @version = 0) SET @status = 4;
    IF @status <> 0
    BEGIN
        IF @nested = 1
        BEGIN
            ROLLBACK TRANSACTION stele_append;
            COMMIT TRANSACTION;
        END
        ELSE ROLLBACK TRANSACTION;
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

    -- announce_positions, where nothing happens meanwhile.
    SELECT @range = (ISNULL(MAX(global_position), 0) + 1) / 256 FROM $(schema).events;
    SET @name = N'$(schema):range:' + CAST(@range AS NVARCHAR(20));
    EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Shared', @LockOwner = N'Transaction';
    IF @got < 0 THROW 51010, N'the lock of a range of positions was not to be had', 1;
    SELECT @next = (ISNULL(MAX(global_position), 0) + 1) / 256 FROM $(schema).events;
    IF @next <> @range EXEC $(schema).announce_positions;

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


procedure append_to_stream
    
CREATE PROCEDURE $(schema).append_to_stream
    @tenant_key VARBINARY(64), @type_key VARBINARY(64), @stream_key VARBINARY(255), @expected BIGINT,
    @event_id UNIQUEIDENTIFIER, @event_id_given BIT, @event_type NVARCHAR(128), @event_version INT,
    @occurred_at DATETIME2(6), @data NVARCHAR(MAX),
    @actor_type NVARCHAR(16) = NULL, @actor_id NVARCHAR(255) = NULL, @source NVARCHAR(64) = NULL,
    @channel NVARCHAR(16) = NULL, @correlation_id UNIQUEIDENTIFIER = NULL, @causation_id UNIQUEIDENTIFIER = NULL,
    @metadata NVARCHAR(MAX) = NULL,
    @tenant_id NVARCHAR(64) = NULL, @stream_type NVARCHAR(64) = NULL, @stream_id NVARCHAR(255) = NULL
AS
BEGIN
    DECLARE @status INT, @stream_no BIGINT, @version BIGINT, @recorded DATETIME2(6), @range BIGINT, @next BIGINT,
            @name NVARCHAR(255), @got INT, @nested BIT;
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
        IF @stream_id IS NULL
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
        SET @name = N'$(schema):stream:' + CAST(CAST(SUBSTRING(HASHBYTES(
            'SHA2_256', @tenant_id + NCHAR(31) + @stream_type + NCHAR(31) + @stream_id), 1, 8) AS BIGINT) AS NVARCHAR(20));
        EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Exclusive', @LockOwner = N'Transaction';
        IF @got < 0 THROW 51010, N'the lock of a new stream was not to be had', 1;
        SET @version = 1;
        -- Somebody may have made it meanwhile.
        IF EXISTS (SELECT 1 FROM $(schema).streams
                   WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key)
            UPDATE $(schema).streams SET version = version + 1,
                    last_recorded_at = CASE WHEN last_recorded_at > @recorded THEN last_recorded_at ELSE @recorded END
                WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    END
    SELECT @stream_no = stream_no, @version = version, @recorded = last_recorded_at, @tenant_id = tenant_id,
           @stream_type = stream_type
        FROM $(schema).streams WHERE tenant_key = @tenant_key AND type_key = @type_key AND stream_key = @stream_key;
    IF @event_id_given = 1 OR @expected >= 0 OR @stream_no IS NULL
    BEGIN
        IF @event_id_given = 1
        BEGIN
            IF EXISTS (SELECT 1 FROM $(schema).events WHERE event_id = @event_id) SET @status = 5;
        END
        IF @status IS NULL AND (@expected >= 0 AND @version - 1 <> @expected OR @expected = -2 AND @stream_no IS NULL)
            SET @status = 4;
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
        IF @stream_no IS NULL
        BEGIN
            INSERT INTO $(schema).streams (tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, version,
                                           created_at, last_recorded_at)
                VALUES (@tenant_id, @stream_type, @stream_id, @tenant_key, @type_key, @stream_key, 1, @recorded, @recorded);
            SET @stream_no = SCOPE_IDENTITY();
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


procedure begin_spans
    
-- announce_positions for whoever appends several events: one transaction at a time, until end_spans. So spans do not
-- overlap, and readers never have to go back from one append to the next without an end.
CREATE PROCEDURE $(schema).begin_spans AS
BEGIN
    DECLARE @got INT;
    SET XACT_ABORT ON;
    EXEC @got = sp_getapplock @Resource = N'$(schema):spans', @LockMode = N'Exclusive', @LockOwner = N'Transaction';
    IF @got < 0 THROW 51010, N'the lock of appends of several events was not to be had', 1;
    EXEC $(schema).announce_positions;
END


procedure end_spans
    
-- When the events and their spans are inserted. The commit, which takes longest, is nobody's turn. (Babelfish cannot give back
-- a lock before the transaction is over.)
CREATE PROCEDURE $(schema).end_spans AS
BEGIN
    DECLARE @gone INT;
    SET XACT_ABORT ON;
    IF SERVERPROPERTY(N'BabelfishVersion') IS NULL
        EXEC @gone = sp_releaseapplock @Resource = N'$(schema):spans', @LockOwner = N'Transaction';
END


procedure grant_roles
    
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
                + N'; GRANT EXECUTE ON $(schema).begin_spans TO ' + @role
                + N'; GRANT EXECUTE ON $(schema).end_spans TO ' + @role
                + N'; GRANT INSERT ON $(schema).append_spans TO ' + @role
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


procedure settled_position
    
CREATE PROCEDURE $(schema).settled_position @known BIGINT, @settled BIGINT OUTPUT AS
BEGIN
    DECLARE @last BIGINT, @range BIGINT, @start BIGINT, @end BIGINT, @cut BIGINT, @nothing NUMERIC(38, 0);
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
    IF @range <= @last / 256
    BEGIN
        -- Babelfish keeps an error for each lock that it says is held, and does not survive the sixth in one session. This makes
        -- it forget them; on SQL Server it is NULL.
        SET @nothing = IDENT_CURRENT(N'');
    END
    COMMIT TRANSACTION;

    SET @end = @last;
    IF @range <= @last / 256
    BEGIN
        -- What is missing before it is dead; what is missing in it may come yet. What lies behind it waits for another call.
        SET @start = CASE WHEN @known >= @range * 256 THEN @known ELSE @range * 256 - 1 END;
        IF @end > @range * 256 + 255 SET @end = @range * 256 + 255;
        SELECT @end = @start + COUNT(*)
            FROM (SELECT global_position, ROW_NUMBER() OVER (ORDER BY global_position) AS n FROM $(schema).events
                  WHERE global_position > @start AND global_position <= @end) AS e
            WHERE e.global_position = @start + e.n;
    END
    -- Whoever has a position up to there is over. Of an append that goes on behind it, nothing is shown yet. Spans do not
    -- overlap, so there is one at most. (One that reaches further than the log was made by hand.)
    SELECT @cut = MIN(first_position) FROM $(schema).append_spans
        WHERE last_position = (SELECT MIN(last_position) FROM $(schema).append_spans WHERE last_position > @end)
            AND last_position <= (SELECT MAX(global_position) FROM $(schema).events);
    IF @cut > @known AND @cut <= @end SET @end = @cut - 1;
    IF @end < @last SELECT @settled = ISNULL(MAX(global_position), 0) FROM $(schema).events WHERE global_position <= @end;
END


procedure take_lock
    
-- An application lock until the transaction is over.
CREATE PROCEDURE $(schema).take_lock @name NVARCHAR(255), @mode NVARCHAR(32) AS
BEGIN
    DECLARE @got INT;
    SET XACT_ABORT ON;
    EXEC @got = sp_getapplock @Resource = @name, @LockMode = @mode, @LockOwner = N'Transaction';
    IF @got < 0 THROW 51010, N'an application lock was not to be had', 1;
END


table append_spans
    first_position bigint(8,19,0) NOT NULL
    last_position bigint(8,19,0) NOT NULL

table commands
    command_no bigint(8,19,0) NOT NULL IDENTITY
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    source nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    request_id nvarchar(510,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    source_key varbinary(64,0,0) NOT NULL
    request_key varbinary(255,0,0) NOT NULL
    command_id uniqueidentifier(16,0,0) NOT NULL
    command_type nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    stream_type nvarchar(128,0,0) COLLATE bbf_unicode_bin2
    stream_id nvarchar(510,0,0) COLLATE bbf_unicode_bin2
    type_key varbinary(64,0,0)
    stream_key varbinary(255,0,0)
    actor_type nvarchar(32,0,0) COLLATE bbf_unicode_bin2
    actor_id nvarchar(510,0,0) COLLATE bbf_unicode_bin2
    channel nvarchar(32,0,0) COLLATE bbf_unicode_bin2
    data nvarchar(-1,0,0) COLLATE bbf_unicode_bin2
    fingerprint binary(32,0,0) NOT NULL
    outcome nvarchar(-1,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    recorded_at datetime2(8,26,6) NOT NULL

table dead_letters
    projection_name nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    projection_key varbinary(128,0,0) NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    global_position bigint(8,19,0) NOT NULL
    generation int(4,10,0) NOT NULL
    part int(4,10,0) NOT NULL
    event_id uniqueidentifier(16,0,0) NOT NULL
    attempts int(4,10,0) NOT NULL
    error nvarchar(8000,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    recorded_at datetime2(8,26,6) NOT NULL

table event_attributes
    global_position bigint(8,19,0) NOT NULL
    name nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    name_bytes int(4,10,0) NOT NULL
    value nvarchar(510,0,0) COLLATE bbf_unicode_bin2 NOT NULL

table event_hashes
    global_position bigint(8,19,0) NOT NULL
    content_hash binary(32,0,0) NOT NULL
    link binary(32,0,0) NOT NULL

table event_schemas
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    event_type nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    type_key varbinary(128,0,0) NOT NULL
    event_version int(4,10,0) NOT NULL
    schema_text nvarchar(-1,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    recorded_at datetime2(8,26,6) NOT NULL

table event_type_rules
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    event_type nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    type_key varbinary(128,0,0) NOT NULL
    schema_mode nvarchar(32,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    masked nvarchar(-1,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    mask_contexts bit(1,1,0) NOT NULL
    keep_days int(4,10,0)
    revision bigint(8,19,0) NOT NULL
    updated_at datetime2(8,26,6) NOT NULL

table events
    global_position bigint(8,19,0) NOT NULL IDENTITY
    stream_no bigint(8,19,0) NOT NULL
    stream_version bigint(8,19,0) NOT NULL
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    stream_type nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    event_id uniqueidentifier(16,0,0) NOT NULL
    event_type nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    event_version int(4,10,0) NOT NULL
    occurred_at datetime2(8,26,6) NOT NULL
    recorded_at datetime2(8,26,6) NOT NULL
    valid_from datetime2(8,26,6)
    valid_to datetime2(8,26,6)
    actor_type nvarchar(32,0,0) COLLATE bbf_unicode_bin2
    actor_id nvarchar(510,0,0) COLLATE bbf_unicode_bin2
    source nvarchar(128,0,0) COLLATE bbf_unicode_bin2
    channel nvarchar(32,0,0) COLLATE bbf_unicode_bin2
    command_id uniqueidentifier(16,0,0)
    idempotency_key nvarchar(510,0,0) COLLATE bbf_unicode_bin2
    idempotency_bytes int(4,10,0)
    causation_id uniqueidentifier(16,0,0)
    correlation_id uniqueidentifier(16,0,0)
    redaction_level nvarchar(32,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    contains_secrets bit(1,1,0) NOT NULL
    attribute_count int(4,10,0) NOT NULL
    data nvarchar(-1,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    metadata nvarchar(-1,0,0) COLLATE bbf_unicode_bin2
    policy_context nvarchar(-1,0,0) COLLATE bbf_unicode_bin2
    model_context nvarchar(-1,0,0) COLLATE bbf_unicode_bin2
    display nvarchar(-1,0,0) COLLATE bbf_unicode_bin2

table governance_truncate_guard
    tenant_key varbinary(64,0,0) NOT NULL
    type_key varbinary(128,0,0) NOT NULL
    event_version int(4,10,0) NOT NULL
    key_id uniqueidentifier(16,0,0) NOT NULL
    global_position bigint(8,19,0) NOT NULL
    seal_number bigint(8,19,0) NOT NULL

table log_seals
    seal_number bigint(8,19,0) NOT NULL
    after_position bigint(8,19,0) NOT NULL
    to_position bigint(8,19,0) NOT NULL
    events bigint(8,19,0) NOT NULL
    root binary(32,0,0) NOT NULL
    seal_hash binary(32,0,0) NOT NULL
    sealed_at datetime2(8,26,6) NOT NULL

table projection_members
    projection_name nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    member nvarchar(510,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    projection_key varbinary(128,0,0) NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    member_key varbinary(255,0,0) NOT NULL
    present_until datetime2(8,26,6) NOT NULL

table projection_offsets
    projection_name nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    projection_key varbinary(128,0,0) NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    generation int(4,10,0) NOT NULL
    part int(4,10,0) NOT NULL
    last_position bigint(8,19,0) NOT NULL
    holder nvarchar(510,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    leased_until datetime2(8,26,6)
    fence bigint(8,19,0) NOT NULL
    updated_at datetime2(8,26,6) NOT NULL

table projections
    projection_name nvarchar(256,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    projection_key varbinary(128,0,0) NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    parts int(4,10,0) NOT NULL
    active_generation int(4,10,0) NOT NULL
    created_at datetime2(8,26,6) NOT NULL
    kind nvarchar(32,0,0) COLLATE bbf_unicode_bin2

table snapshots
    snapshot_id uniqueidentifier(16,0,0) NOT NULL
    stream_no bigint(8,19,0) NOT NULL
    stream_version bigint(8,19,0) NOT NULL
    snapshot_version int(4,10,0) NOT NULL
    recorded_at datetime2(8,26,6) NOT NULL
    state_bytes bigint(8,19,0) NOT NULL
    state nvarchar(-1,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    metadata nvarchar(-1,0,0) COLLATE bbf_unicode_bin2

table streams
    stream_no bigint(8,19,0) NOT NULL IDENTITY
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    stream_type nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    stream_id nvarchar(510,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    type_key varbinary(64,0,0) NOT NULL
    stream_key varbinary(255,0,0) NOT NULL
    version bigint(8,19,0) NOT NULL
    created_at datetime2(8,26,6) NOT NULL
    last_recorded_at datetime2(8,26,6) NOT NULL

table subject_keys
    key_id uniqueidentifier(16,0,0) NOT NULL
    key_bytes binary(16,0,0) NOT NULL
    tenant_id nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    tenant_key varbinary(64,0,0) NOT NULL
    subject nvarchar(510,0,0) COLLATE bbf_unicode_bin2
    subject_key varbinary(255,0,0)
    master_key_id nvarchar(256,0,0) COLLATE bbf_unicode_bin2
    wrapped varbinary(4096,0,0)
    created_at datetime2(8,26,6) NOT NULL
    destroyed_at datetime2(8,26,6)

table truncate_guard
    global_position bigint(8,19,0) NOT NULL
    name nvarchar(128,0,0) COLLATE bbf_unicode_bin2 NOT NULL
    name_bytes int(4,10,0) NOT NULL
    command_no bigint(8,19,0) NOT NULL
    stream_no bigint(8,19,0) NOT NULL

trigger commands_append_only on commands
    CREATE TRIGGER $(schema).commands_append_only ON $(schema).commands AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'commands are append-only: UPDATE and DELETE refused', 1;
END


trigger event_attributes_append_only on event_attributes
    CREATE TRIGGER $(schema).event_attributes_append_only ON $(schema).event_attributes AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'event_attributes are append-only: UPDATE and DELETE refused', 1;
END


trigger event_attributes_no_more on event_attributes
    
-- An event has the attributes that it was written with.
CREATE TRIGGER $(schema).event_attributes_no_more ON $(schema).event_attributes AFTER INSERT AS
BEGIN
    IF EXISTS (SELECT 1 FROM $(schema).events AS e
               WHERE e.global_position IN (SELECT i.global_position FROM inserted AS i)
                 AND e.attribute_count < (SELECT COUNT(*) FROM $(schema).event_attributes AS a
                                          WHERE a.global_position = e.global_position))
        THROW 51004, N'events are append-only: this event has its attributes', 1;
END


trigger event_hashes_append_only on event_hashes
    
CREATE TRIGGER $(schema).event_hashes_append_only ON $(schema).event_hashes AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'event_hashes are append-only: UPDATE and DELETE refused', 1;
END


trigger event_schemas_no_delete on event_schemas
    CREATE TRIGGER $(schema).event_schemas_no_delete ON $(schema).event_schemas AFTER DELETE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d JOIN $(schema).events AS e
                   ON e.event_type = d.event_type AND DATALENGTH(e.event_type) = DATALENGTH(d.event_type)
                   AND e.tenant_id = d.tenant_id AND DATALENGTH(e.tenant_id) = DATALENGTH(d.tenant_id)
                   AND e.event_version = d.event_version)
        THROW 51005, N'there are events of this schema: DELETE refused', 1;
END


trigger event_schemas_no_update on event_schemas
    
-- A schema never changes, and stays as long as there are events that it describes.

CREATE TRIGGER $(schema).event_schemas_no_update ON $(schema).event_schemas AFTER UPDATE AS
BEGIN
    THROW 51001, N'schemas never change: UPDATE refused', 1;
END


trigger event_type_rules_no_delete on event_type_rules
    CREATE TRIGGER $(schema).event_type_rules_no_delete ON $(schema).event_type_rules AFTER DELETE AS
BEGIN
    THROW 51001, N'the rules of event types are never deleted', 1;
END


trigger event_type_rules_only_forwards on event_type_rules
    
CREATE TRIGGER $(schema).event_type_rules_only_forwards ON $(schema).event_type_rules AFTER UPDATE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d LEFT JOIN inserted AS i
                   ON i.tenant_key = d.tenant_key AND i.type_key = d.type_key
               WHERE i.tenant_key IS NULL OR i.revision <= d.revision OR i.tenant_id <> d.tenant_id
                  OR i.event_type <> d.event_type)
        THROW 51002, N'a change of rules adds to their revision: UPDATE refused', 1;
END


trigger events_append_only on events
    
-- Append-only, for the owner too. THROW ends the batch and rolls its transaction back.

CREATE TRIGGER $(schema).events_append_only ON $(schema).events AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'events are append-only: UPDATE and DELETE refused', 1;
END


trigger events_no_stray on events
    
-- Events come in through Stele, which moves the stream's head first. With the unique index on versions this keeps them
-- dense: no event lies behind the head, and none takes another's place.
CREATE TRIGGER $(schema).events_no_stray ON $(schema).events AFTER INSERT AS
BEGIN
    IF EXISTS (SELECT 1 FROM inserted AS i JOIN $(schema).streams AS s ON s.stream_no = i.stream_no
               WHERE i.stream_version > s.version)
        THROW 51003, N'events are appended by Stele, which keeps their versions: INSERT refused', 1;
END


trigger log_seals_append_only on log_seals
    CREATE TRIGGER $(schema).log_seals_append_only ON $(schema).log_seals AFTER UPDATE, DELETE AS
BEGIN
    THROW 51001, N'log_seals are append-only: UPDATE and DELETE refused', 1;
END


trigger streams_no_delete on streams
    CREATE TRIGGER $(schema).streams_no_delete ON $(schema).streams AFTER DELETE AS
BEGIN
    THROW 51001, N'streams are append-only: DELETE refused', 1;
END


trigger streams_only_forwards on streams
    
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


trigger subject_keys_no_delete on subject_keys
    CREATE TRIGGER $(schema).subject_keys_no_delete ON $(schema).subject_keys AFTER DELETE AS
BEGIN
    THROW 51001, N'subject keys are destroyed, never deleted', 1;
END


trigger subject_keys_only_forwards on subject_keys
    
-- A key stays the one it is; it can be wrapped anew, be destroyed, and then lose its subject, each for good.
CREATE TRIGGER $(schema).subject_keys_only_forwards ON $(schema).subject_keys AFTER UPDATE AS
BEGIN
    IF EXISTS (SELECT 1 FROM deleted AS d LEFT JOIN inserted AS i ON i.key_id = d.key_id
               WHERE i.key_id IS NULL OR i.key_bytes <> d.key_bytes OR i.tenant_key <> d.tenant_key
                  OR i.tenant_id <> d.tenant_id OR i.created_at <> d.created_at
                  OR i.subject_key IS NOT NULL AND (d.subject_key IS NULL OR i.subject_key <> d.subject_key)
                  OR i.subject IS NOT NULL AND (d.subject IS NULL OR i.subject <> d.subject)
                  OR d.destroyed_at IS NOT NULL AND (i.destroyed_at IS NULL OR i.destroyed_at <> d.destroyed_at
                                                     OR i.wrapped IS NOT NULL))
        THROW 51002, N'a destroyed key stays so, and no key becomes another: UPDATE refused', 1;
END


view event_log
    
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
