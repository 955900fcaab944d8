-- The schema that the migrations make, for reading and for comparison; made by the test of it. Not a script.

constraint append_spans_check on append_spans
    CHECK (first_position < last_position)

constraint append_spans_pkey on append_spans
    PRIMARY KEY (last_position)

constraint commands_check on commands
    CHECK ((actor_type IS NULL) = (actor_id IS NULL))

constraint commands_check1 on commands
    CHECK ((stream_type IS NULL) = (stream_id IS NULL))

constraint commands_command_id_key on commands
    UNIQUE (command_id)

constraint commands_pkey on commands
    PRIMARY KEY (command_no)

constraint commands_tenant_id_source_request_id_key on commands
    UNIQUE (tenant_id, source, request_id)

constraint dead_letters_attempts_check on dead_letters
    CHECK (attempts >= 1)

constraint dead_letters_error_check on dead_letters
    CHECK (octet_length(error) <= 4000)

constraint dead_letters_global_position_check on dead_letters
    CHECK (global_position >= 1)

constraint dead_letters_pkey on dead_letters
    PRIMARY KEY (projection_name, tenant_id, global_position, generation, part)

constraint dead_letters_projection_name_tenant_id_generation_part_fkey on dead_letters
    FOREIGN KEY (projection_name, tenant_id, generation, part) REFERENCES projection_offsets(projection_name, tenant_id, generation, part) ON DELETE CASCADE

constraint event_attributes_pkey on event_attributes
    PRIMARY KEY (global_position, name)

constraint event_hashes_global_position_check on event_hashes
    CHECK (global_position >= 1)

constraint event_hashes_pkey on event_hashes
    PRIMARY KEY (global_position)

constraint event_schemas_pkey on event_schemas
    PRIMARY KEY (tenant_id, event_type, event_version)

constraint event_schemas_schema_text_check on event_schemas
    CHECK (schema_text::json IS NOT NULL)

constraint event_type_rules_keep_days_check on event_type_rules
    CHECK (keep_days >= 0)

constraint event_type_rules_masked_check on event_type_rules
    CHECK (jsonb_typeof(masked) = 'array'::text)

constraint event_type_rules_pkey on event_type_rules
    PRIMARY KEY (tenant_id, event_type)

constraint event_type_rules_revision_check on event_type_rules
    CHECK (revision >= 1)

constraint event_type_rules_schema_mode_check on event_type_rules
    CHECK (schema_mode = ANY (ARRAY['off'::text, 'warn'::text, 'enforce'::text]))

constraint events_check on events
    CHECK (valid_to::timestamp with time zone > valid_from::timestamp with time zone)

constraint events_check1 on events
    CHECK ((actor_type IS NULL) = (actor_id IS NULL))

constraint events_command_no_fkey on events
    FOREIGN KEY (command_no) REFERENCES commands(command_no)

constraint events_pkey on events
    PRIMARY KEY (global_position)

constraint log_seals_after_position_check on log_seals
    CHECK (after_position >= 0)

constraint log_seals_check on log_seals
    CHECK (to_position >= after_position)

constraint log_seals_events_check on log_seals
    CHECK (events >= 0)

constraint log_seals_pkey on log_seals
    PRIMARY KEY (seal_number)

constraint log_seals_seal_number_check on log_seals
    CHECK (seal_number >= 1)

constraint projection_members_member_check on projection_members
    CHECK (member <> ''::text)

constraint projection_members_pkey on projection_members
    PRIMARY KEY (projection_name, tenant_id, member)

constraint projection_members_projection_name_tenant_id_fkey on projection_members
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections(projection_name, tenant_id) ON DELETE CASCADE

constraint projection_offsets_fence_check on projection_offsets
    CHECK (fence >= 0)

constraint projection_offsets_generation_check on projection_offsets
    CHECK (generation >= 1)

constraint projection_offsets_last_position_check on projection_offsets
    CHECK (last_position >= 0)

constraint projection_offsets_part_check on projection_offsets
    CHECK (part >= 0 AND part <= 63)

constraint projection_offsets_pkey on projection_offsets
    PRIMARY KEY (projection_name, tenant_id, generation, part)

constraint projection_offsets_projection_name_tenant_id_fkey on projection_offsets
    FOREIGN KEY (projection_name, tenant_id) REFERENCES projections(projection_name, tenant_id) ON DELETE CASCADE

constraint projections_active_generation_check on projections
    CHECK (active_generation >= 1)

constraint projections_kind_check on projections
    CHECK (kind = ANY (ARRAY['projection'::text, 'subscription'::text, 'relay'::text, 'inline'::text]))

constraint projections_parts_check on projections
    CHECK (parts >= 1 AND parts <= 64)

constraint projections_pkey on projections
    PRIMARY KEY (projection_name, tenant_id)

constraint projections_tenant_id_check on projections
    CHECK (octet_length(tenant_id) <= 64)

constraint snapshots_pkey on snapshots
    PRIMARY KEY (stream_no, stream_version)

constraint snapshots_snapshot_id_key on snapshots
    UNIQUE (snapshot_id)

constraint snapshots_snapshot_version_check on snapshots
    CHECK (snapshot_version >= 1)

constraint snapshots_state_bytes_check on snapshots
    CHECK (state_bytes >= 0)

constraint snapshots_stream_no_fkey on snapshots
    FOREIGN KEY (stream_no) REFERENCES streams(stream_no)

constraint streams_check on streams
    CHECK (last_recorded_at >= created_at)

constraint streams_pkey on streams
    PRIMARY KEY (stream_no)

constraint streams_tenant_id_stream_type_stream_id_key on streams
    UNIQUE (tenant_id, stream_type, stream_id)

constraint subject_keys_check on subject_keys
    CHECK ((wrapped IS NULL) = (master_key_id IS NULL))

constraint subject_keys_check1 on subject_keys
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))

constraint subject_keys_check2 on subject_keys
    CHECK (subject IS NOT NULL OR destroyed_at IS NOT NULL)

constraint subject_keys_pkey on subject_keys
    PRIMARY KEY (key_id)

constraint subject_keys_wrapped_check on subject_keys
    CHECK (length(wrapped) >= 1 AND length(wrapped) <= 4096)

domain actor_kind
    text CHECK (VALUE = ANY (ARRAY['user'::text, 'service'::text, 'agent'::text, 'system'::text]))

domain channel_kind
    text CHECK (VALUE = ANY (ARRAY['ui'::text, 'api'::text, 'import'::text, 'webhook'::text, 'system'::text]))

domain event_time
    timestamp with time zone CHECK (VALUE >= '0001-01-01 00:00:00+00'::timestamp with time zone AND VALUE <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone)

domain json_container
    jsonb CHECK (jsonb_typeof(VALUE) = ANY (ARRAY['object'::text, 'array'::text]))

domain json_object
    jsonb CHECK (jsonb_typeof(VALUE) = 'object'::text)

domain key_128
    text COLLATE "C" CHECK (octet_length(VALUE) >= 1 AND octet_length(VALUE) <= 128)

domain key_255
    text COLLATE "C" CHECK (octet_length(VALUE) >= 1 AND octet_length(VALUE) <= 255)

domain key_64
    text COLLATE "C" CHECK (octet_length(VALUE) >= 1 AND octet_length(VALUE) <= 64)

domain redaction_kind
    text CHECK (VALUE = ANY (ARRAY['none'::text, 'partial'::text, 'full'::text]))

domain row_count
    smallint CHECK (VALUE >= 0)

domain schema_version
    integer CHECK (VALUE >= 1)

domain sha256_hash
    bytea CHECK (length(VALUE) = 32)

domain version_number
    bigint CHECK (VALUE >= 1)

function append
    (tenant text, stream_types text[], stream_ids text[], expected_kinds smallint[], expected_versions bigint[], events_in integer[], streams_count integer, request_source text, request text, new_command_id uuid, command_id_given boolean, new_command_type text, command_stream_type text, command_stream_id text, command_actor_type text, command_actor_id text, command_channel text, command_data text, new_fingerprint bytea, given_ids uuid[], in_streams integer[], ids uuid[], types text[], versions integer[], occurred timestamp with time zone[], valid_froms timestamp with time zone[], valid_tos timestamp with time zone[], actor_types text[], actor_ids text[], sources text[], channels text[], keys text[], causations uuid[], correlations uuid[], redactions text[], secrets boolean[], datas text[], metadatas text[], policy_contexts text[], model_contexts text[], displays text[], attribute_counts smallint[], attribute_events integer[], attribute_names text[], attribute_values text[]) returns append_answer, plpgsql, security definer, plan_cache_mode=force_generic_plan, own search_path:
#variable_conflict use_column
DECLARE
    answer append_answer;
    known record;
    one record;
    one_stream CONSTANT boolean := streams_count = 1 AND events_in[1] > 0;
    conditions CONSTANT integer := cardinality(stream_types) - streams_count;
    as_wanted boolean := true;
    moved boolean := false;
    stream_lock bigint;
    condition_lock bigint;
    stream_numbers bigint[];
    base_versions bigint[];
    before_first bigint[];  -- Of each stream's versions: what to add to an event's place in the append.
    head_no bigint;
    head_version bigint;
    head_recorded timestamptz;
    recorded timestamptz;
    positions bigint[];
    command_outcome jsonb;
    new_command_no bigint;
    done integer := 0;
    ignored text;  -- Assigning is cheaper than PERFORM: it does not start an executor.
BEGIN
    -- What is checked has to be what is there when the locks are held, and not what was there when the transaction began.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append() needs the isolation level READ COMMITTED' USING ERRCODE = 'feature_not_supported';
    END IF;

    -- 1. The command. Callers with one key come one after the other.
    IF request IS NOT NULL THEN
        ignored := pg_advisory_xact_lock(append_lock('commands', concat_ws(chr(31), tenant, request_source, request)));
        SELECT c.fingerprint, c.outcome INTO known FROM commands AS c
            WHERE c.tenant_id = tenant AND c.source = request_source AND c.request_id = request;
        IF FOUND THEN
            IF known.fingerprint = new_fingerprint THEN
                answer.status := 'replayed';
                answer.outcome := known.outcome::text;
            ELSE
                answer.status := 'request_id_reused';
                answer.detail := 'request ' || request_source || ':' || request || ' was made before with another content';
            END IF;
            RETURN answer;
        END IF;
        IF command_id_given AND EXISTS (SELECT FROM commands AS c WHERE c.command_id = new_command_id) THEN
            answer.status := 'request_id_reused';
            answer.detail := 'command id ' || new_command_id || ' belongs to another request';
            RETURN answer;
        END IF;
    END IF;

    -- The streams' locks, in one order for everybody: exclusive for those that are written, shared for those that are checked.
    IF one_stream AND conditions < 2 THEN
        stream_lock := append_lock('streams', concat_ws(chr(31), tenant, stream_types[1], stream_ids[1]));
        IF conditions = 0 THEN
            ignored := pg_advisory_xact_lock(stream_lock);
        ELSE
            condition_lock := append_lock('streams', concat_ws(chr(31), tenant, stream_types[2], stream_ids[2]));
            IF condition_lock < stream_lock THEN
                ignored := pg_advisory_xact_lock_shared(condition_lock);
            END IF;
            ignored := pg_advisory_xact_lock(stream_lock);
            IF condition_lock > stream_lock THEN
                ignored := pg_advisory_xact_lock_shared(condition_lock);
            END IF;
        END IF;
    ELSE
        FOR one IN
            SELECT append_lock('streams', concat_ws(chr(31), tenant, s.type, s.id)) AS lock, bool_or(s.events > 0) AS writes
            FROM unnest(stream_types, stream_ids, events_in) AS s (type, id, events)
            GROUP BY 1 ORDER BY 1
        LOOP
            IF one.writes THEN
                ignored := pg_advisory_xact_lock(one.lock);
            ELSE
                ignored := pg_advisory_xact_lock_shared(one.lock);
            END IF;
        END LOOP;
    END IF;

    -- One stream, one condition at most, and no events that could be there already: the statement that finds the head as
    -- expected moves it, too. One that does not find it says nothing; what is there is looked at below.
    IF one_stream AND conditions < 2 AND expected_kinds[1] <> 1 AND cardinality(given_ids) = 0
        AND cardinality(array_remove(keys, NULL)) = 0 THEN
        IF conditions = 1 THEN
            SELECT h.version INTO head_version FROM streams AS h
                WHERE h.tenant_id = tenant AND h.stream_type = stream_types[2] AND h.stream_id = stream_ids[2];
            as_wanted := as_expected(expected_kinds[2], expected_versions[2], coalesce(head_version, 0));
        END IF;
        IF as_wanted THEN
            UPDATE streams AS h SET version = h.version + events_in[1],
                                    last_recorded_at = greatest(clock_timestamp(), h.last_recorded_at)
                WHERE h.tenant_id = tenant AND h.stream_type = stream_types[1] AND h.stream_id = stream_ids[1]
                    AND as_expected(expected_kinds[1], expected_versions[1], h.version)
                RETURNING ARRAY[h.stream_no], ARRAY[h.version - events_in[1]], h.last_recorded_at
                INTO stream_numbers, base_versions, recorded;
            moved := FOUND;
        END IF;
    END IF;
    IF NOT moved THEN
        recorded := clock_timestamp();
        FOR i IN 1 .. coalesce(cardinality(stream_types), 0) LOOP
            SELECT h.stream_no, h.version, h.last_recorded_at INTO head_no, head_version, head_recorded FROM streams AS h
                WHERE h.tenant_id = tenant AND h.stream_type = stream_types[i] AND h.stream_id = stream_ids[i];
            stream_numbers[i] := head_no;
            base_versions[i] := coalesce(head_version, 0);
            IF events_in[i] > 0 THEN
                recorded := greatest(recorded, head_recorded);
            END IF;
        END LOOP;

        -- 2. Event ids and idempotency keys that are there already: the caller reads them and decides.
        IF cardinality(given_ids) > 0 THEN
            IF EXISTS (SELECT FROM unnest(given_ids) AS g (id) JOIN LATERAL (
                           SELECT FROM events AS e WHERE e.event_id = g.id OFFSET 0) AS e ON true) THEN
                answer.status := 'found';
            END IF;
        END IF;
        IF cardinality(array_remove(keys, NULL)) > 0 THEN
            IF EXISTS (SELECT FROM unnest(in_streams, keys) AS k (stream, key) JOIN LATERAL (
                           SELECT FROM events AS e WHERE e.stream_no = stream_numbers[k.stream] AND e.idempotency_key = k.key
                           OFFSET 0) AS e ON true
                       WHERE k.key IS NOT NULL) THEN
                answer.status := 'found';
            END IF;
        END IF;
        IF answer.status = 'found' THEN
            answer.base_versions := base_versions;
            RETURN answer;
        END IF;

        -- 3. Expected versions.
        FOR i IN 1 .. coalesce(cardinality(stream_types), 0) LOOP
            IF NOT as_expected(expected_kinds[i], expected_versions[i], base_versions[i]) THEN
                answer.status := 'conflict';
                answer.conflict_index := i;
                answer.actual_version := base_versions[i];
                RETURN answer;
            END IF;
        END LOOP;
    END IF;

    -- 4. Nothing is left to check or to wait for. The positions; see above.
    IF cardinality(ids) > 0 THEN
        ignored := pg_advisory_xact_lock_shared(lock_class('events'), 0);
        IF cardinality(ids) = 1 THEN
            positions := ARRAY[nextval('events_global_position_seq')];
        ELSE
            positions := take_positions(cardinality(ids));
            INSERT INTO append_spans (first_position, last_position) VALUES (positions[1], positions[cardinality(ids)]);
        END IF;
        ignored := pg_advisory_xact_lock_shared(lock_class('events_global_position_seq'),
                                                (positions[1] & 2147483647)::integer);
    END IF;

    -- 5. Everything is written.
    answer.status := 'appended';
    answer.base_versions := base_versions;
    IF moved THEN
        answer.first_positions := positions[1:1];
        answer.last_positions := ARRAY[positions[events_in[1]]];
        before_first := base_versions;
    ELSE
        answer.first_positions := array_fill(0::bigint, ARRAY[streams_count]);
        answer.last_positions := answer.first_positions;
        FOR i IN 1 .. streams_count LOOP
            CONTINUE WHEN events_in[i] = 0;
            before_first[i] := base_versions[i] - done;
            answer.first_positions[i] := positions[done + 1];
            done := done + events_in[i];
            answer.last_positions[i] := positions[done];
            IF stream_numbers[i] IS NULL THEN
                INSERT INTO streams (tenant_id, stream_type, stream_id, version, created_at, last_recorded_at)
                    VALUES (tenant, stream_types[i], stream_ids[i], events_in[i], recorded, recorded)
                    RETURNING stream_no INTO head_no;
                stream_numbers[i] := head_no;
            ELSE
                UPDATE streams SET version = version + events_in[i], last_recorded_at = recorded
                    WHERE stream_no = stream_numbers[i];
            END IF;
        END LOOP;
    END IF;

    IF request IS NOT NULL THEN
        IF moved THEN
            command_outcome := jsonb_build_array(stream_outcome(stream_types[1], stream_ids[1], base_versions[1], events_in[1],
                                                                answer.first_positions[1], answer.last_positions[1]));
        ELSE
            command_outcome := (SELECT coalesce(jsonb_agg(stream_outcome(stream_types[i], stream_ids[i], base_versions[i],
                                                                         events_in[i], answer.first_positions[i],
                                                                         answer.last_positions[i]) ORDER BY i), '[]')
                                FROM generate_series(1, streams_count) AS i);
        END IF;
        INSERT INTO commands (tenant_id, source, request_id, command_id, command_type, stream_type, stream_id, actor_type,
                              actor_id, channel, data, fingerprint, outcome, recorded_at)
            VALUES (tenant, request_source, request, new_command_id, new_command_type, command_stream_type,
                    command_stream_id, command_actor_type, command_actor_id, command_channel, command_data::jsonb,
                    new_fingerprint, command_outcome, recorded)
            RETURNING command_no INTO new_command_no;
    END IF;

    IF cardinality(ids) = 1 THEN
        INSERT INTO events
            (global_position, stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version,
             occurred_at, recorded_at, valid_from, valid_to, actor_type, actor_id, source, channel, command_no,
             idempotency_key, causation_id, correlation_id, redaction_level, contains_secrets, attribute_count, data,
             metadata, policy_context, model_context, display)
            OVERRIDING SYSTEM VALUE
            VALUES (positions[1], stream_numbers[in_streams[1]], base_versions[in_streams[1]] + 1, tenant,
                    stream_types[in_streams[1]], ids[1], types[1], versions[1], occurred[1], recorded, valid_froms[1],
                    valid_tos[1], actor_types[1], actor_ids[1], sources[1], channels[1], new_command_no, keys[1],
                    causations[1], correlations[1], redactions[1], secrets[1], attribute_counts[1], datas[1]::jsonb,
                    metadatas[1]::jsonb, policy_contexts[1]::jsonb, model_contexts[1]::jsonb, displays[1]::jsonb);
    ELSIF cardinality(ids) > 1 THEN
        INSERT INTO events
            (global_position, stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version,
             occurred_at, recorded_at, valid_from, valid_to, actor_type, actor_id, source, channel, command_no,
             idempotency_key, causation_id, correlation_id, redaction_level, contains_secrets, attribute_count, data,
             metadata, policy_context, model_context, display)
            OVERRIDING SYSTEM VALUE
            SELECT e.position, stream_numbers[e.stream], before_first[e.stream] + e.i, tenant, stream_types[e.stream], e.id,
                   e.type, e.version, e.occurred, recorded, e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source,
                   e.channel, new_command_no, e.key, e.causation, e.correlation, e.redaction, e.secret, e.attributes,
                   e.data::jsonb, e.metadata::jsonb, e.policy_context::jsonb, e.model_context::jsonb, e.display::jsonb
            -- In the list of columns, unlike in FROM, unnest() does not keep its rows before it gives them away.
            FROM (SELECT generate_series(1, cardinality(ids)) AS i, unnest(positions) AS position,
                         unnest(in_streams) AS stream, unnest(ids) AS id, unnest(types) AS type, unnest(versions) AS version,
                         unnest(occurred) AS occurred, unnest(valid_froms) AS valid_from, unnest(valid_tos) AS valid_to,
                         unnest(actor_types) AS actor_type, unnest(actor_ids) AS actor_id, unnest(sources) AS source,
                         unnest(channels) AS channel, unnest(keys) AS key, unnest(causations) AS causation,
                         unnest(correlations) AS correlation, unnest(redactions) AS redaction, unnest(secrets) AS secret,
                         unnest(attribute_counts) AS attributes, unnest(datas) AS data, unnest(metadatas) AS metadata,
                         unnest(policy_contexts) AS policy_context, unnest(model_contexts) AS model_context,
                         unnest(displays) AS display) AS e;
    END IF;
    IF cardinality(attribute_events) = 1 THEN
        INSERT INTO event_attributes (global_position, name, value)
            VALUES (positions[attribute_events[1]], attribute_names[1], attribute_values[1]);
    ELSIF cardinality(attribute_events) > 1 THEN
        INSERT INTO event_attributes (global_position, name, value)
            SELECT positions[a.event], a.name, a.value
            FROM unnest(attribute_events, attribute_names, attribute_values) AS a (event, name, value);
    END IF;
    RETURN answer;
END

function append_lock
    (kind regclass, key text) returns bigint, sql:
RETURN hashtextextended(key, ((kind)::oid)::bigint)

function append_locks
    (command_keys text[], stream_keys text[], stream_writes boolean[]) returns void, plpgsql, security definer, own search_path:
DECLARE
    one record;
    ignored text;
BEGIN
    FOR one IN SELECT DISTINCT append_lock('commands', c.key) AS lock FROM unnest(command_keys) AS c (key) ORDER BY 1 LOOP
        ignored := pg_advisory_xact_lock(one.lock);
    END LOOP;
    FOR one IN
        SELECT append_lock('streams', s.key) AS lock, bool_or(s.writes) AS writes
        FROM unnest(stream_keys, stream_writes) AS s (key, writes) GROUP BY 1 ORDER BY 1
    LOOP
        IF one.writes THEN
            ignored := pg_advisory_xact_lock(one.lock);
        ELSE
            ignored := pg_advisory_xact_lock_shared(one.lock);
        END IF;
    END LOOP;
END

function append_several
    (tenants text[], stream_types text[], stream_ids text[], expected_kinds smallint[], expected_versions bigint[], events_in integer[], request_sources text[], requests text[], new_command_ids uuid[], new_command_types text[], command_stream_types text[], command_stream_ids text[], command_actor_types text[], command_actor_ids text[], command_channels text[], command_datas text[], new_fingerprints bytea[], of_appends integer[], ids uuid[], types text[], versions integer[], occurred timestamp with time zone[], valid_froms timestamp with time zone[], valid_tos timestamp with time zone[], actor_types text[], actor_ids text[], sources text[], channels text[], causations uuid[], correlations uuid[], redactions text[], secrets boolean[], datas text[], metadatas text[], policy_contexts text[], model_contexts text[], displays text[], attribute_counts smallint[], attribute_events integer[], attribute_names text[], attribute_values text[]) returns TABLE(status text, stream_version bigint, first_position bigint, last_position bigint), plpgsql, security definer, enable_seqscan=off, plan_cache_mode=force_generic_plan, own search_path:
#variable_conflict use_column
DECLARE
    appends CONSTANT integer := cardinality(tenants);
    one record;
    known boolean[] := array_fill(false, ARRAY[appends]);
    stream_numbers bigint[] := array_fill(NULL::bigint, ARRAY[appends]);  -- Of those that are written.
    base_versions bigint[] := stream_numbers;
    recorded timestamptz[] := array_fill(NULL::timestamptz, ARRAY[appends]);
    first_of bigint[] := stream_numbers;  -- Of each append's events: the first's place among those that are written.
    before_first integer[] := array_fill(0, ARRAY[appends]);  -- How many events come before it in the arrays.
    before integer := 0;
    written integer := 0;
    positions bigint[];
    event_positions bigint[];
    command_numbers bigint[] := stream_numbers;
    head_version bigint;
    head_no bigint;
    made_at timestamptz;
    ignored text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_several() needs the isolation level READ COMMITTED' USING ERRCODE = 'feature_not_supported';
    END IF;
    ignored := append_locks(
        ARRAY(SELECT concat_ws(chr(31), c.tenant, c.source, c.request)
              FROM unnest(tenants, request_sources, requests) AS c (tenant, source, request) WHERE c.request IS NOT NULL),
        ARRAY(SELECT concat_ws(chr(31), s.tenant, s.type, s.id)
              FROM unnest(tenants, stream_types, stream_ids) AS s (tenant, type, id)),
        array_fill(true, ARRAY[appends]));

    -- Commands that are known already: append() answers them.
    IF cardinality(array_remove(requests, NULL)) > 0 THEN
        FOR one IN
            SELECT r.i FROM unnest(tenants, request_sources, requests) WITH ORDINALITY AS r (tenant, source, request, i)
            JOIN commands AS c ON c.tenant_id = r.tenant AND c.source = r.source AND c.request_id = r.request
        LOOP
            known[one.i] := true;
        END LOOP;
    END IF;

    -- The statement that finds the heads as expected moves them. What is left over is a stream to be made, or a conflict.
    FOR one IN
        UPDATE streams AS h SET version = h.version + a.events,
                                last_recorded_at = greatest(clock_timestamp(), h.last_recorded_at)
            FROM unnest(tenants, stream_types, stream_ids, expected_kinds, expected_versions, events_in, known) WITH ORDINALITY
                AS a (tenant, type, id, kind, version, events, known, i)
            WHERE h.tenant_id = a.tenant AND h.stream_type = a.type AND h.stream_id = a.id AND NOT a.known
                AND as_expected(a.kind, a.version, h.version)
            RETURNING a.i, h.stream_no, h.version - a.events AS base, h.last_recorded_at AS recorded
    LOOP
        stream_numbers[one.i] := one.stream_no;
        base_versions[one.i] := one.base;
        recorded[one.i] := one.recorded;
    END LOOP;
    FOR i IN 1 .. appends LOOP
        IF stream_numbers[i] IS NULL AND NOT known[i] THEN
            SELECT h.version INTO head_version FROM streams AS h
                WHERE h.tenant_id = tenants[i] AND h.stream_type = stream_types[i] AND h.stream_id = stream_ids[i];
            base_versions[i] := coalesce(head_version, 0);
            IF base_versions[i] = 0 AND as_expected(expected_kinds[i], expected_versions[i], 0) THEN
                made_at := clock_timestamp();
                INSERT INTO streams (tenant_id, stream_type, stream_id, version, created_at, last_recorded_at)
                    VALUES (tenants[i], stream_types[i], stream_ids[i], events_in[i], made_at, made_at)
                    RETURNING stream_no INTO head_no;
                stream_numbers[i] := head_no;
                recorded[i] := made_at;
            END IF;
        END IF;
        before_first[i] := before;
        before := before + events_in[i];
        IF stream_numbers[i] IS NOT NULL THEN
            first_of[i] := written + 1;
            written := written + events_in[i];
        END IF;
    END LOOP;

    -- Nothing is left to check or to wait for. The positions; see settled_position().
    IF written > 0 THEN
        ignored := pg_advisory_xact_lock_shared(lock_class('events'), 0);
        IF written > cardinality(array_remove(first_of, NULL)) THEN
            positions := take_positions(written);
            INSERT INTO append_spans (first_position, last_position)
                SELECT positions[a.first], positions[a.first + a.events - 1]
                FROM unnest(first_of, events_in) AS a (first, events) WHERE a.first IS NOT NULL AND a.events > 1;
        ELSE
            positions := ARRAY(SELECT nextval('events_global_position_seq') FROM generate_series(1, written));
        END IF;
        ignored := pg_advisory_xact_lock_shared(lock_class('events_global_position_seq'),
                                                (positions[1] & 2147483647)::integer);
        event_positions := ARRAY(SELECT positions[first_of[e.a] + e.i - 1 - before_first[e.a]]
                                 FROM unnest(of_appends) WITH ORDINALITY AS e (a, i) ORDER BY e.i);
        IF cardinality(array_remove(requests, NULL)) > 0 THEN
            FOR one IN
                INSERT INTO commands (tenant_id, source, request_id, command_id, command_type, stream_type, stream_id,
                                      actor_type, actor_id, channel, data, fingerprint, outcome, recorded_at)
                    SELECT c.tenant, c.source, c.request, c.id, c.type, c.stream_type, c.stream_id, c.actor_type, c.actor_id,
                           c.channel, c.data::jsonb, c.fingerprint,
                           jsonb_build_array(stream_outcome(stream_types[c.i], stream_ids[c.i], base_versions[c.i],
                                                            events_in[c.i], positions[first_of[c.i]],
                                                            positions[first_of[c.i] + events_in[c.i] - 1])),
                           recorded[c.i]
                    FROM unnest(tenants, request_sources, requests, new_command_ids, new_command_types, command_stream_types,
                                command_stream_ids, command_actor_types, command_actor_ids, command_channels, command_datas,
                                new_fingerprints) WITH ORDINALITY
                        AS c (tenant, source, request, id, type, stream_type, stream_id, actor_type, actor_id, channel, data,
                              fingerprint, i)
                    WHERE c.request IS NOT NULL AND stream_numbers[c.i] IS NOT NULL
                    RETURNING command_no, command_id
            LOOP
                command_numbers[array_position(new_command_ids, one.command_id)] := one.command_no;
            END LOOP;
        END IF;
        INSERT INTO events
            (global_position, stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version,
             occurred_at, recorded_at, valid_from, valid_to, actor_type, actor_id, source, channel, command_no,
             causation_id, correlation_id, redaction_level, contains_secrets, attribute_count, data,
             metadata, policy_context, model_context, display)
            OVERRIDING SYSTEM VALUE
            SELECT e.position, stream_numbers[e.a], base_versions[e.a] + e.i - before_first[e.a], tenants[e.a],
                   stream_types[e.a], e.id, e.type, e.version, e.occurred, recorded[e.a], e.valid_from, e.valid_to,
                   e.actor_type, e.actor_id, e.source, e.channel, command_numbers[e.a], e.causation, e.correlation,
                   e.redaction, e.secret, e.attributes, e.data::jsonb, e.metadata::jsonb, e.policy_context::jsonb,
                   e.model_context::jsonb, e.display::jsonb
            FROM (SELECT generate_series(1, cardinality(ids)) AS i, unnest(event_positions) AS position,
                         unnest(of_appends) AS a, unnest(ids) AS id, unnest(types) AS type, unnest(versions) AS version,
                         unnest(occurred) AS occurred, unnest(valid_froms) AS valid_from, unnest(valid_tos) AS valid_to,
                         unnest(actor_types) AS actor_type, unnest(actor_ids) AS actor_id, unnest(sources) AS source,
                         unnest(channels) AS channel, unnest(causations) AS causation,
                         unnest(correlations) AS correlation, unnest(redactions) AS redaction, unnest(secrets) AS secret,
                         unnest(attribute_counts) AS attributes, unnest(datas) AS data, unnest(metadatas) AS metadata,
                         unnest(policy_contexts) AS policy_context, unnest(model_contexts) AS model_context,
                         unnest(displays) AS display) AS e
            WHERE e.position IS NOT NULL;
        IF cardinality(attribute_events) > 0 THEN
            INSERT INTO event_attributes (global_position, name, value)
                SELECT event_positions[a.event], a.name, a.value
                FROM unnest(attribute_events, attribute_names, attribute_values) AS a (event, name, value)
                WHERE event_positions[a.event] IS NOT NULL;
        END IF;
    END IF;
    FOR i IN 1 .. appends LOOP
        status := CASE WHEN known[i] THEN 'known' WHEN stream_numbers[i] IS NULL THEN 'conflict' ELSE 'appended' END;
        stream_version := base_versions[i];
        first_position := positions[first_of[i]];
        last_position := positions[first_of[i] + events_in[i] - 1];
        RETURN NEXT;
    END LOOP;
END

function as_expected
    (kind smallint, expected bigint, actual bigint) returns boolean, sql:
RETURN CASE kind WHEN 0 THEN true WHEN 1 THEN (actual = 0) WHEN 2 THEN (actual > 0) ELSE (actual = expected) END

function grant_roles
    (reader text, writer text, admin text) returns void, plpgsql, own search_path:
DECLARE
    role_name text;
    relation text;
    -- What readers keep, and what can be made again; of later migrations.
    kept CONSTANT text[] := ARRAY['snapshots', 'projections', 'projection_offsets', 'projection_members', 'dead_letters'];
    appended CONSTANT text[] := ARRAY['streams', 'commands', 'events', 'event_attributes', 'event_log',
                                      'stele_migrations'];
    -- What governs the log, of a later migration: who may do what beside SELECT.
    governing CONSTANT text[] := ARRAY['event_schemas', 'event_type_rules', 'subject_keys', 'event_hashes', 'log_seals'];
    of_writers CONSTANT text[] := ARRAY['', '', 'INSERT', '', ''];
    of_admins CONSTANT text[] := ARRAY['INSERT, DELETE', 'INSERT, UPDATE', 'INSERT, UPDATE', 'INSERT', 'INSERT'];
    privileges text;
    own CONSTANT text := quote_ident(current_schema());
BEGIN
    FOREACH role_name IN ARRAY ARRAY[reader, writer, admin] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', own, role_name);
        FOREACH relation IN ARRAY appended || kept || governing LOOP
            CONTINUE WHEN to_regclass(own || '.' || relation) IS NULL;
            EXECUTE format('REVOKE ALL ON %s.%I FROM %I', own, relation, role_name);
            EXECUTE format('GRANT SELECT ON %s.%I TO %I', own, relation, role_name);
        END LOOP;
        EXECUTE format('GRANT SELECT ON SEQUENCE events_global_position_seq TO %I', role_name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION settled_position() TO %I', role_name);
    END LOOP;
    FOREACH role_name IN ARRAY ARRAY[writer, admin] LOOP
        EXECUTE format('GRANT INSERT ON events TO %I', role_name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION append, append_several, append_locks TO %I', role_name);
        FOREACH relation IN ARRAY kept LOOP
            CONTINUE WHEN to_regclass(own || '.' || relation) IS NULL;
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s.%I TO %I', own, relation, role_name);
        END LOOP;
        FOR i IN 1 .. cardinality(governing) LOOP
            privileges := CASE role_name WHEN admin THEN of_admins[i] ELSE of_writers[i] END;
            CONTINUE WHEN privileges = '' OR to_regclass(own || '.' || governing[i]) IS NULL;
            EXECUTE format('GRANT %s ON %s.%I TO %I', privileges, own, governing[i], role_name);
        END LOOP;
    END LOOP;
END

function keys_only_forwards
    () returns trigger, plpgsql, own search_path:
BEGIN
    IF NEW.key_id <> OLD.key_id OR NEW.tenant_id <> OLD.tenant_id OR NEW.created_at <> OLD.created_at
        OR NEW.subject IS NOT NULL AND NEW.subject IS DISTINCT FROM OLD.subject
        OR OLD.destroyed_at IS NOT NULL
            AND (NEW.destroyed_at IS DISTINCT FROM OLD.destroyed_at OR NEW.wrapped IS NOT NULL) THEN
        RAISE EXCEPTION 'a destroyed key stays so, and no key becomes another: UPDATE refused'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END

function lock_class
    (object regclass) returns integer, sql:
RETURN ((((object)::oid)::bigint)::bit(32))::integer

function only_forwards
    () returns trigger, plpgsql, own search_path:
BEGIN
    IF NEW.version <= OLD.version OR NEW.last_recorded_at < OLD.last_recorded_at OR NEW.stream_no <> OLD.stream_no
        OR NEW.tenant_id <> OLD.tenant_id OR NEW.stream_type <> OLD.stream_type OR NEW.stream_id <> OLD.stream_id
        OR NEW.created_at <> OLD.created_at THEN
        RAISE EXCEPTION 'streams only move forwards: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END

function refuse_change
    () returns trigger, plpgsql, own search_path:
BEGIN
    RAISE EXCEPTION '% are append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END

function refuse_more_attributes
    () returns trigger, plpgsql, own search_path:
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT global_position FROM added) AS p
               LEFT JOIN LATERAL (SELECT e.attribute_count FROM events AS e
                                  WHERE e.global_position = p.global_position OFFSET 0) AS e ON true
               WHERE e.attribute_count IS DISTINCT FROM
                   (SELECT count(*) FROM event_attributes AS a WHERE a.global_position = p.global_position)) THEN
        RAISE EXCEPTION 'events are append-only: this event has its attributes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END

function refuse_schema_in_use
    () returns trigger, plpgsql, own search_path:
BEGIN
    IF EXISTS (SELECT FROM events AS e WHERE e.event_type = OLD.event_type AND e.tenant_id = OLD.tenant_id
                                         AND e.event_version = OLD.event_version) THEN
        RAISE EXCEPTION 'there are events of this schema: DELETE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END

function refuse_stray_events
    () returns trigger, plpgsql, own search_path:
BEGIN
    IF EXISTS (SELECT FROM added AS a GROUP BY a.stream_no
               HAVING max(a.stream_version) - min(a.stream_version) + 1 <> count(*)
                   OR max(a.stream_version)
                      IS DISTINCT FROM (SELECT s.version FROM streams AS s WHERE s.stream_no = a.stream_no)) THEN
        RAISE EXCEPTION 'events are appended with append(), which keeps their versions: INSERT refused'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END

function rules_only_forwards
    () returns trigger, plpgsql, own search_path:
BEGIN
    IF NEW.tenant_id <> OLD.tenant_id OR NEW.event_type <> OLD.event_type OR NEW.revision <= OLD.revision THEN
        RAISE EXCEPTION 'a change of rules adds to their revision: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END

function settled_position
    () returns bigint, plpgsql, security definer, own search_path:
DECLARE
    sequence CONSTANT oid := 'events_global_position_seq'::regclass;
    in_flight CONSTANT oid := 'events'::regclass;
    last_taken bigint;
    undecided boolean;
    lowest bigint;
    bound bigint;
    cut bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'a standby does not know which appends are in flight: read the log on the primary'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    -- Not by SELECT: nextval() puts a number that lies ahead into the sequence's row for a moment, while it holds a lock that
    -- this function waits for and SELECT does not.
    last_taken := coalesce(pg_sequence_last_value(sequence), 0);
    -- One look at the locks of all transactions.
    SELECT bool_or(taking AND first IS NULL), min(first) INTO undecided, lowest
        FROM (SELECT bool_or(classid = in_flight) AS taking,
                     -- The position was cut to 31 bits; it is the nearest to what the sequence has reached meanwhile.
                     min(last_taken - ((last_taken - objid::bigint + 1073741824) & 2147483647) + 1073741824)
                         FILTER (WHERE classid = sequence) AS first
              FROM pg_locks
              WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid IN (in_flight, sequence)
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              GROUP BY virtualtransaction) AS appender;
    IF undecided THEN
        RETURN NULL;
    END IF;
    bound := least(last_taken, lowest - 1);
    -- A new statement, with a new snapshot: whoever has a position up to here is over. Of an append that goes on behind it,
    -- nothing is shown yet. Spans do not overlap, so there is one at most.
    SELECT first_position INTO cut FROM append_spans WHERE last_position > bound ORDER BY last_position LIMIT 1;
    IF cut <= bound THEN
        bound := cut - 1;
    END IF;
    RETURN coalesce((SELECT max(global_position) FROM events WHERE global_position <= bound), 0);
END

function stream_outcome
    (type text, id text, base_version bigint, events integer, first_position bigint, last_position bigint) returns jsonb, sql:
RETURN jsonb_build_object('type', type, 'id', id, 'first_version', (base_version + 1), 'last_version', (base_version + events), 'first_position', first_position, 'last_position', last_position)

function take_positions
    (wanted integer) returns bigint[], plpgsql, own search_path:
DECLARE
    positions bigint[];
    ignored text;
BEGIN
    BEGIN
        ignored := pg_advisory_xact_lock(lock_class('append_spans'), 0);
        positions := ARRAY(SELECT nextval('events_global_position_seq') FROM generate_series(1, wanted));
        RAISE EXCEPTION USING ERRCODE = 'STL01', MESSAGE = 'positions were taken';
    EXCEPTION WHEN SQLSTATE 'STL01' THEN
        RETURN positions;
    END;
END

index append_spans_pkey
    CREATE UNIQUE INDEX append_spans_pkey ON append_spans USING btree (last_position)

index commands_command_id_key
    CREATE UNIQUE INDEX commands_command_id_key ON commands USING btree (command_id)

index commands_pkey
    CREATE UNIQUE INDEX commands_pkey ON commands USING btree (command_no)

index commands_stream
    CREATE INDEX commands_stream ON commands USING btree (tenant_id, stream_type, stream_id, command_no) WHERE stream_id IS NOT NULL

index commands_tenant_id_source_request_id_key
    CREATE UNIQUE INDEX commands_tenant_id_source_request_id_key ON commands USING btree (tenant_id, source, request_id)

index dead_letters_pkey
    CREATE UNIQUE INDEX dead_letters_pkey ON dead_letters USING btree (projection_name, tenant_id, global_position, generation, part)

index event_attributes_pkey
    CREATE UNIQUE INDEX event_attributes_pkey ON event_attributes USING btree (global_position, name)

index event_attributes_value
    CREATE INDEX event_attributes_value ON event_attributes USING btree (name, value, global_position)

index event_hashes_pkey
    CREATE UNIQUE INDEX event_hashes_pkey ON event_hashes USING btree (global_position)

index event_schemas_pkey
    CREATE UNIQUE INDEX event_schemas_pkey ON event_schemas USING btree (tenant_id, event_type, event_version)

index event_type_rules_pkey
    CREATE UNIQUE INDEX event_type_rules_pkey ON event_type_rules USING btree (tenant_id, event_type)

index events_causation
    CREATE INDEX events_causation ON events USING btree (causation_id, global_position) WHERE causation_id IS NOT NULL

index events_correlation
    CREATE INDEX events_correlation ON events USING btree (correlation_id, global_position) WHERE correlation_id IS NOT NULL

index events_event_id
    CREATE UNIQUE INDEX events_event_id ON events USING btree (event_id)

index events_idempotency
    CREATE UNIQUE INDEX events_idempotency ON events USING btree (stream_no, idempotency_key) WHERE idempotency_key IS NOT NULL

index events_metadata
    CREATE INDEX events_metadata ON events USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL

index events_occurred
    CREATE INDEX events_occurred ON events USING btree (occurred_at)

index events_pkey
    CREATE UNIQUE INDEX events_pkey ON events USING btree (global_position)

index events_recorded
    CREATE INDEX events_recorded ON events USING brin (recorded_at)

index events_stream
    CREATE UNIQUE INDEX events_stream ON events USING btree (stream_no, stream_version)

index events_stream_type
    CREATE INDEX events_stream_type ON events USING btree (stream_type, global_position)

index events_tenant
    CREATE INDEX events_tenant ON events USING btree (tenant_id, global_position) WHERE tenant_id <> 'default'::text

index events_type
    CREATE INDEX events_type ON events USING btree (event_type, global_position)

index log_seals_pkey
    CREATE UNIQUE INDEX log_seals_pkey ON log_seals USING btree (seal_number)

index projection_members_pkey
    CREATE UNIQUE INDEX projection_members_pkey ON projection_members USING btree (projection_name, tenant_id, member)

index projection_offsets_pkey
    CREATE UNIQUE INDEX projection_offsets_pkey ON projection_offsets USING btree (projection_name, tenant_id, generation, part)

index projections_pkey
    CREATE UNIQUE INDEX projections_pkey ON projections USING btree (projection_name, tenant_id)

index snapshots_pkey
    CREATE UNIQUE INDEX snapshots_pkey ON snapshots USING btree (stream_no, stream_version)

index snapshots_recorded
    CREATE INDEX snapshots_recorded ON snapshots USING btree (recorded_at)

index snapshots_snapshot_id_key
    CREATE UNIQUE INDEX snapshots_snapshot_id_key ON snapshots USING btree (snapshot_id)

index streams_pkey
    CREATE UNIQUE INDEX streams_pkey ON streams USING btree (stream_no)

index streams_tenant_id_stream_type_stream_id_key
    CREATE UNIQUE INDEX streams_tenant_id_stream_type_stream_id_key ON streams USING btree (tenant_id, stream_type, stream_id)

index subject_keys_pkey
    CREATE UNIQUE INDEX subject_keys_pkey ON subject_keys USING btree (key_id)

index subject_keys_subject
    CREATE UNIQUE INDEX subject_keys_subject ON subject_keys USING btree (tenant_id, subject) WHERE subject IS NOT NULL

index subject_keys_tenant
    CREATE INDEX subject_keys_tenant ON subject_keys USING btree (tenant_id, key_id)

table append_spans
    first_position bigint NOT NULL
    last_position bigint NOT NULL

table commands
    command_no bigint NOT NULL GENERATED ALWAYS AS IDENTITY
    tenant_id key_64 NOT NULL
    source key_64 NOT NULL
    request_id key_255 NOT NULL
    command_id uuid NOT NULL
    command_type key_128 NOT NULL
    stream_type key_64
    stream_id key_255
    actor_type actor_kind
    actor_id key_255
    channel channel_kind
    data json_container
    fingerprint sha256_hash NOT NULL
    outcome jsonb NOT NULL
    recorded_at timestamp with time zone NOT NULL

table dead_letters
    projection_name text COLLATE "C" NOT NULL
    tenant_id text COLLATE "C" NOT NULL
    global_position bigint NOT NULL
    generation integer NOT NULL
    part integer NOT NULL
    event_id uuid NOT NULL
    attempts integer NOT NULL
    error text NOT NULL
    recorded_at timestamp with time zone NOT NULL

table event_attributes
    global_position bigint NOT NULL
    name key_64 NOT NULL
    value key_255 NOT NULL

table event_hashes
    global_position bigint NOT NULL
    content_hash sha256_hash NOT NULL
    link sha256_hash NOT NULL

table event_schemas
    tenant_id key_64 NOT NULL
    event_type key_128 NOT NULL
    event_version schema_version NOT NULL
    schema_text text NOT NULL
    recorded_at timestamp with time zone NOT NULL

table event_type_rules
    tenant_id key_64 NOT NULL
    event_type key_128 NOT NULL
    schema_mode text NOT NULL DEFAULT 'enforce'::text
    masked jsonb NOT NULL DEFAULT '[]'::jsonb
    mask_contexts boolean NOT NULL DEFAULT true
    keep_days integer
    revision bigint NOT NULL DEFAULT 1
    updated_at timestamp with time zone NOT NULL

table events
    global_position bigint NOT NULL GENERATED ALWAYS AS IDENTITY
    stream_no bigint NOT NULL
    stream_version version_number NOT NULL
    tenant_id text COLLATE "C" NOT NULL
    stream_type text COLLATE "C" NOT NULL
    event_id uuid NOT NULL
    event_type key_128 NOT NULL
    event_version schema_version NOT NULL DEFAULT 1
    occurred_at event_time NOT NULL
    recorded_at timestamp with time zone NOT NULL
    valid_from event_time
    valid_to event_time
    actor_type actor_kind
    actor_id key_255
    source key_64
    channel channel_kind
    command_no bigint
    idempotency_key key_255
    causation_id uuid
    correlation_id uuid
    redaction_level redaction_kind NOT NULL DEFAULT 'none'::text
    contains_secrets boolean NOT NULL DEFAULT false
    attribute_count row_count NOT NULL DEFAULT 0
    data json_container NOT NULL
    metadata json_object
    policy_context json_object
    model_context json_object
    display json_object

table log_seals
    seal_number bigint NOT NULL
    after_position bigint NOT NULL
    to_position bigint NOT NULL
    events bigint NOT NULL
    root sha256_hash NOT NULL
    seal_hash sha256_hash NOT NULL
    sealed_at timestamp with time zone NOT NULL

table projection_members
    projection_name text COLLATE "C" NOT NULL
    tenant_id text COLLATE "C" NOT NULL
    member text COLLATE "C" NOT NULL
    present_until timestamp with time zone NOT NULL

table projection_offsets
    projection_name text COLLATE "C" NOT NULL
    tenant_id text COLLATE "C" NOT NULL
    generation integer NOT NULL
    part integer NOT NULL
    last_position bigint NOT NULL DEFAULT 0
    holder text COLLATE "C" NOT NULL DEFAULT ''::text
    leased_until timestamp with time zone
    fence bigint NOT NULL DEFAULT 0
    updated_at timestamp with time zone NOT NULL

table projections
    projection_name key_128 NOT NULL
    tenant_id text COLLATE "C" NOT NULL
    parts integer NOT NULL
    active_generation integer NOT NULL DEFAULT 1
    created_at timestamp with time zone NOT NULL
    kind text COLLATE "C"

table snapshots
    snapshot_id uuid NOT NULL
    stream_no bigint NOT NULL
    stream_version version_number NOT NULL
    snapshot_version integer NOT NULL DEFAULT 1
    recorded_at timestamp with time zone NOT NULL
    state_bytes bigint NOT NULL
    state jsonb NOT NULL
    metadata json_object

table streams
    stream_no bigint NOT NULL GENERATED ALWAYS AS IDENTITY
    tenant_id key_64 NOT NULL
    stream_type key_64 NOT NULL
    stream_id key_255 NOT NULL
    version version_number NOT NULL
    created_at timestamp with time zone NOT NULL
    last_recorded_at timestamp with time zone NOT NULL

table subject_keys
    key_id uuid NOT NULL
    tenant_id key_64 NOT NULL
    subject key_255
    master_key_id key_128
    wrapped bytea
    created_at timestamp with time zone NOT NULL
    destroyed_at timestamp with time zone

trigger commands_append_only on commands
    CREATE TRIGGER commands_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON commands FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger event_attributes_append_only on event_attributes
    CREATE TRIGGER event_attributes_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON event_attributes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger event_attributes_no_more on event_attributes
    CREATE TRIGGER event_attributes_no_more AFTER INSERT ON event_attributes REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_more_attributes() ENABLE ALWAYS

trigger event_hashes_append_only on event_hashes
    CREATE TRIGGER event_hashes_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON event_hashes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger event_schemas_no_delete on event_schemas
    CREATE TRIGGER event_schemas_no_delete BEFORE DELETE ON event_schemas FOR EACH ROW EXECUTE FUNCTION refuse_schema_in_use() ENABLE ALWAYS

trigger event_schemas_no_update on event_schemas
    CREATE TRIGGER event_schemas_no_update BEFORE UPDATE OR TRUNCATE ON event_schemas FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger event_type_rules_no_delete on event_type_rules
    CREATE TRIGGER event_type_rules_no_delete BEFORE DELETE OR TRUNCATE ON event_type_rules FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger event_type_rules_only_forwards on event_type_rules
    CREATE TRIGGER event_type_rules_only_forwards BEFORE UPDATE ON event_type_rules FOR EACH ROW EXECUTE FUNCTION rules_only_forwards() ENABLE ALWAYS

trigger events_append_only on events
    CREATE TRIGGER events_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger events_no_stray on events
    CREATE TRIGGER events_no_stray AFTER INSERT ON events REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_stray_events() ENABLE ALWAYS

trigger log_seals_append_only on log_seals
    CREATE TRIGGER log_seals_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON log_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger streams_no_delete on streams
    CREATE TRIGGER streams_no_delete BEFORE DELETE OR TRUNCATE ON streams FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger streams_only_forwards on streams
    CREATE TRIGGER streams_only_forwards BEFORE UPDATE ON streams FOR EACH ROW EXECUTE FUNCTION only_forwards() ENABLE ALWAYS

trigger subject_keys_no_delete on subject_keys
    CREATE TRIGGER subject_keys_no_delete BEFORE DELETE OR TRUNCATE ON subject_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_change() ENABLE ALWAYS

trigger subject_keys_only_forwards on subject_keys
    CREATE TRIGGER subject_keys_only_forwards BEFORE UPDATE ON subject_keys FOR EACH ROW EXECUTE FUNCTION keys_only_forwards() ENABLE ALWAYS

type append_answer
    status text
    detail text
    outcome text
    conflict_index integer
    actual_version bigint
    base_versions bigint[]
    first_positions bigint[]
    last_positions bigint[]

view event_log
 SELECT e.global_position,
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
        CASE
            WHEN e.attribute_count::smallint > 0 THEN ( SELECT jsonb_object_agg(a.name, a.value) AS jsonb_object_agg
               FROM event_attributes a
              WHERE a.global_position = e.global_position)
            ELSE NULL::jsonb
        END AS attributes
   FROM events e
     JOIN streams s ON s.stream_no = e.stream_no
     LEFT JOIN commands c ON c.command_no = e.command_no;
