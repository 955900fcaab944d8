-- No reader of the log sees a part of an append. Positions are taken while others take theirs, so that an append of several
-- events may have another's between its own; what is settled may end there, or where the sequence was when it was read. So
-- each append of more than one event leaves a row here, committed with it, and settled_position() goes back to before an
-- append that it would cut. Of rows behind which the log has gone on, nothing depends any more: they may be deleted.
CREATE TABLE append_spans (
    first_position bigint NOT NULL,
    last_position bigint NOT NULL PRIMARY KEY,
    CHECK (first_position < last_position)
);

-- Positions for appends of several events, taken by one transaction at a time: so spans do not overlap, and readers never
-- have to go back from one append to the next without an end. The lock is for the taking alone, and not for the rest of the
-- transaction: it is given back by rolling back to before it was taken, which leaves the sequence and the variable alone.
CREATE FUNCTION take_positions(wanted integer) RETURNS bigint[] LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
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
$$;
REVOKE ALL ON FUNCTION take_positions FROM PUBLIC;

CREATE OR REPLACE FUNCTION settled_position() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT AS $$
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
$$;

CREATE OR REPLACE FUNCTION append(
    tenant text, stream_types text[], stream_ids text[], expected_kinds smallint[], expected_versions bigint[],
    events_in integer[], streams_count integer,
    request_source text, request text, new_command_id uuid, command_id_given boolean, new_command_type text,
    command_stream_type text, command_stream_id text, command_actor_type text, command_actor_id text,
    command_channel text, command_data text, new_fingerprint bytea,
    given_ids uuid[], in_streams integer[], ids uuid[], types text[], versions integer[], occurred timestamptz[],
    valid_froms timestamptz[], valid_tos timestamptz[], actor_types text[], actor_ids text[], sources text[],
    channels text[], keys text[], causations uuid[], correlations uuid[], redactions text[], secrets boolean[],
    datas text[], metadatas text[], policy_contexts text[], model_contexts text[], displays text[],
    attribute_counts smallint[], attribute_events integer[], attribute_names text[], attribute_values text[]
) RETURNS append_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
-- Every statement here goes along a unique key: planning it anew for each append would cost more than it can save.
SET plan_cache_mode = force_generic_plan AS $$
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
$$;

CREATE OR REPLACE FUNCTION append_several(
    tenants text[], stream_types text[], stream_ids text[], expected_kinds smallint[], expected_versions bigint[],
    events_in integer[],
    request_sources text[], requests text[], new_command_ids uuid[], new_command_types text[], command_stream_types text[],
    command_stream_ids text[], command_actor_types text[], command_actor_ids text[], command_channels text[],
    command_datas text[], new_fingerprints bytea[],
    of_appends integer[], ids uuid[], types text[], versions integer[], occurred timestamptz[], valid_froms timestamptz[],
    valid_tos timestamptz[], actor_types text[], actor_ids text[], sources text[], channels text[], causations uuid[],
    correlations uuid[], redactions text[], secrets boolean[], datas text[], metadatas text[], policy_contexts text[],
    model_contexts text[], displays text[], attribute_counts smallint[], attribute_events integer[], attribute_names text[],
    attribute_values text[]
) RETURNS TABLE (status text, stream_version bigint, first_position bigint, last_position bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
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
$$;
