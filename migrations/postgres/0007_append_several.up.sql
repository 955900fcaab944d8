-- Several appends of one transaction at once: a few statements for all of them, where append() needs as many for each. Each
-- writes events to one stream, which no other of them does; none has conditions, event ids that were given, or idempotency
-- keys. of_appends says of each event whose it is, from 1; events lie as their appends do.
--
-- The answer has a row for each append, in their order: appended, with the stream's version before; conflict, with its
-- version; or known: its command is recorded, and nothing was written of this one.
CREATE FUNCTION append_several(
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
        positions := ARRAY(SELECT nextval('events_global_position_seq') FROM generate_series(1, written));
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

-- Who may append() may do this.
DO $$
DECLARE
    one record;
BEGIN
    REVOKE ALL ON FUNCTION append_several FROM PUBLIC;
    FOR one IN SELECT DISTINCT a.grantee::regrole AS role FROM pg_proc AS p, aclexplode(p.proacl) AS a
               WHERE p.oid = 'append'::regproc AND a.grantee <> p.proowner AND a.grantee <> 0 LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION append_several TO %s', one.role);
    END LOOP;
END
$$;

-- As before, but for append_several().
CREATE OR REPLACE FUNCTION grant_roles(reader text, writer text, admin text) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
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
$$;
