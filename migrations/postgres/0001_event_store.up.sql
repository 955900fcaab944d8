-- The event log: streams, commands, events and their attributes; and the functions that append to it and say how far it is
-- settled. Runs with search_path set to the store's own schema; the functions keep it (SET search_path FROM CURRENT), or have
-- a body that is bound when they are made.
--
-- Text compares byte for byte (COLLATE "C"), so case, accents and trailing spaces count.

-- What a single value must be like. As domains, because a session compiles those once; CHECKs of a table are compiled anew
-- by every statement, which made up a third of an append.
CREATE DOMAIN key_64 AS text COLLATE "C" CHECK (octet_length(VALUE) BETWEEN 1 AND 64);
CREATE DOMAIN key_128 AS text COLLATE "C" CHECK (octet_length(VALUE) BETWEEN 1 AND 128);
CREATE DOMAIN key_255 AS text COLLATE "C" CHECK (octet_length(VALUE) BETWEEN 1 AND 255);
CREATE DOMAIN actor_kind AS text CHECK (VALUE IN ('user', 'service', 'agent', 'system'));
CREATE DOMAIN channel_kind AS text CHECK (VALUE IN ('ui', 'api', 'import', 'webhook', 'system'));
CREATE DOMAIN redaction_kind AS text CHECK (VALUE IN ('none', 'partial', 'full'));
CREATE DOMAIN version_number AS bigint CHECK (VALUE >= 1);
CREATE DOMAIN schema_version AS integer CHECK (VALUE >= 1);
CREATE DOMAIN row_count AS smallint CHECK (VALUE >= 0);
CREATE DOMAIN sha256_hash AS bytea CHECK (length(VALUE) = 32);
CREATE DOMAIN event_time AS timestamptz
    CHECK (VALUE BETWEEN '0001-01-01 00:00:00Z' AND '9999-12-31 23:59:59.999999Z');
CREATE DOMAIN json_container AS jsonb CHECK (jsonb_typeof(VALUE) IN ('object', 'array'));
CREATE DOMAIN json_object AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');

CREATE TABLE streams (
    stream_no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id        key_64 NOT NULL,
    stream_type      key_64 NOT NULL,
    stream_id        key_255 NOT NULL,
    version          version_number NOT NULL,
    created_at       timestamptz NOT NULL,
    last_recorded_at timestamptz NOT NULL CHECK (last_recorded_at >= created_at),
    UNIQUE (tenant_id, stream_type, stream_id)
) WITH (fillfactor = 80);

CREATE TABLE commands (
    command_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    key_64 NOT NULL,
    source       key_64 NOT NULL,
    request_id   key_255 NOT NULL,
    command_id   uuid NOT NULL UNIQUE,
    command_type key_128 NOT NULL,
    stream_type  key_64,
    stream_id    key_255,
    actor_type   actor_kind,
    actor_id     key_255,
    channel      channel_kind,
    data         json_container,
    fingerprint  sha256_hash NOT NULL,
    outcome      jsonb NOT NULL,
    recorded_at  timestamptz NOT NULL,
    UNIQUE (tenant_id, source, request_id),
    CHECK ((actor_type IS NULL) = (actor_id IS NULL)),
    CHECK ((stream_type IS NULL) = (stream_id IS NULL))
);

CREATE TABLE events (
    global_position  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_no        bigint NOT NULL,  -- Of streams: events_no_stray sees to it, once for each append instead of each event.
    stream_version   version_number NOT NULL,
    tenant_id        text COLLATE "C" NOT NULL,
    stream_type      text COLLATE "C" NOT NULL,
    event_id         uuid NOT NULL,
    event_type       key_128 NOT NULL,
    event_version    schema_version NOT NULL DEFAULT 1,
    occurred_at      event_time NOT NULL,
    recorded_at      timestamptz NOT NULL,
    valid_from       event_time,
    valid_to         event_time,
    actor_type       actor_kind,
    actor_id         key_255,
    source           key_64,
    channel          channel_kind,
    command_no       bigint REFERENCES commands (command_no),
    idempotency_key  key_255,
    causation_id     uuid,
    correlation_id   uuid,
    redaction_level  redaction_kind NOT NULL DEFAULT 'none',
    contains_secrets boolean NOT NULL DEFAULT false,
    attribute_count  row_count NOT NULL DEFAULT 0,
    data             json_container NOT NULL,
    metadata         json_object,
    policy_context   json_object,
    model_context    json_object,
    display          json_object,
    CHECK (valid_to > valid_from),
    CHECK ((actor_type IS NULL) = (actor_id IS NULL))
);

-- Each index serves a named query. The position at the end gives the log's order within each value.
CREATE UNIQUE INDEX events_event_id ON events (event_id);
CREATE UNIQUE INDEX events_stream ON events (stream_no, stream_version);
CREATE UNIQUE INDEX events_idempotency ON events (stream_no, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX events_tenant ON events (tenant_id, global_position) WHERE tenant_id <> 'default';
CREATE INDEX events_stream_type ON events (stream_type, global_position);
CREATE INDEX events_type ON events (event_type, global_position);
CREATE INDEX events_occurred ON events (occurred_at);
CREATE INDEX events_recorded ON events USING brin (recorded_at);
CREATE INDEX events_correlation ON events (correlation_id, global_position) WHERE correlation_id IS NOT NULL;
CREATE INDEX events_causation ON events (causation_id, global_position) WHERE causation_id IS NOT NULL;
CREATE INDEX events_metadata ON events USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;
CREATE INDEX commands_stream ON commands (tenant_id, stream_type, stream_id, command_no) WHERE stream_id IS NOT NULL;

CREATE TABLE event_attributes (
    global_position bigint NOT NULL,  -- Of events: event_attributes_no_more sees to it, once for each append.
    name            key_64 NOT NULL,
    value           key_255 NOT NULL,
    PRIMARY KEY (global_position, name)
);

CREATE INDEX event_attributes_value ON event_attributes (name, value, global_position);

-- Append-only, for the owner too, and for sessions that call themselves replicas (ENABLE ALWAYS). TRUNCATE fires no row
-- trigger and has one of its own.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '% are append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_attributes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_attributes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER commands_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON commands
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER streams_no_delete BEFORE DELETE OR TRUNCATE ON streams
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A stream's head moves forwards only. The condition is in the function: as the trigger's own (WHEN) it would be kept as
-- text, and parsed by every UPDATE.
CREATE FUNCTION only_forwards() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.version <= OLD.version OR NEW.last_recorded_at < OLD.last_recorded_at OR NEW.stream_no <> OLD.stream_no
        OR NEW.tenant_id <> OLD.tenant_id OR NEW.stream_type <> OLD.stream_type OR NEW.stream_id <> OLD.stream_id
        OR NEW.created_at <> OLD.created_at THEN
        RAISE EXCEPTION 'streams only move forwards: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER streams_only_forwards BEFORE UPDATE ON streams FOR EACH ROW EXECUTE FUNCTION only_forwards();

-- An event has the attributes that it was written with.
CREATE FUNCTION refuse_more_attributes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
$$;
CREATE TRIGGER event_attributes_no_more AFTER INSERT ON event_attributes
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_more_attributes();

-- Events come in through append(), which keeps the versions of a stream dense and its head at the last of them. A row that
-- somebody inserts by hand has to agree with that.
CREATE FUNCTION refuse_stray_events() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
$$;
CREATE TRIGGER events_no_stray AFTER INSERT ON events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_stray_events();

ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only;
ALTER TABLE events ENABLE ALWAYS TRIGGER events_no_stray;
ALTER TABLE event_attributes ENABLE ALWAYS TRIGGER event_attributes_no_more;
ALTER TABLE event_attributes ENABLE ALWAYS TRIGGER event_attributes_append_only;
ALTER TABLE commands ENABLE ALWAYS TRIGGER commands_append_only;
ALTER TABLE streams ENABLE ALWAYS TRIGGER streams_no_delete;
ALTER TABLE streams ENABLE ALWAYS TRIGGER streams_only_forwards;

-- --- Global order ------------------------------------------------------------------------------------------------------
--
-- Positions come from a sequence, so a lower one may be committed after a higher one. Just before an appender takes its
-- positions, when it has all its locks and nothing is left to wait for or to check, it takes an advisory lock; and just
-- after, a second one. It holds both until its transaction is over:
--
--   (events, 0)              shared: it is taking positions
--   (sequence, position)     shared: the first position that it took, cut to 31 bits
--
-- settled_position() reads the sequence first and the locks second. An appender that has a position up to the sequence's
-- value then either is over, and what it wrote is visible to every later snapshot; or holds the second lock, and all below
-- its first position is settled as far as it is concerned; or has the first lock alone for some microseconds, and the caller
-- looks again. Nobody waits for anybody, and no other transaction of the cluster matters.
--
-- A transaction that ends gives its locks back one by one, after what it wrote has become visible: it may be seen with either
-- of them, which only makes the answer smaller or late. So each transaction is judged by itself; counts of all would cancel
-- each other out.

-- An object's oid as the first key of an advisory lock.
CREATE FUNCTION lock_class(object regclass) RETURNS integer LANGUAGE sql STABLE STRICT
RETURN object::oid::bigint::bit(32)::integer;

-- The advisory lock of a command or a stream, by its key: parts joined by the unit separator.
CREATE FUNCTION append_lock(kind regclass, key text) RETURNS bigint LANGUAGE sql STABLE STRICT
RETURN hashtextextended(key, kind::oid::bigint);

-- The last event's position up to which nothing can be committed any more; 0 when there is none, null when an appender is
-- just taking its positions. It is an event's and not the sequence's: after a crash the server may give positions again that
-- nobody committed.
CREATE FUNCTION settled_position() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT AS $$
DECLARE
    sequence CONSTANT oid := 'events_global_position_seq'::regclass;
    in_flight CONSTANT oid := 'events'::regclass;
    last_taken bigint;
    undecided boolean;
    lowest bigint;
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
    -- A new statement, with a new snapshot.
    RETURN coalesce((SELECT max(global_position) FROM events WHERE global_position <= least(last_taken, lowest - 1)), 0);
END
$$;

-- --- Append ------------------------------------------------------------------------------------------------------------

CREATE TYPE append_answer AS (
    status          text,      -- appended, replayed, request_id_reused, conflict; found: some event is there already
    detail          text,      -- request_id_reused: which
    outcome         text,      -- replayed: the recorded one
    conflict_index  integer,   -- conflict: the first stream that is not as expected, from 1
    actual_version  bigint,
    base_versions   bigint[],  -- appended, found: of each stream, before
    first_positions bigint[],
    last_positions  bigint[]
);

-- Whether a stream's version is the expected one. Kinds: 0 any, 1 no stream, 2 stream exists, 3 exactly.
CREATE FUNCTION as_expected(kind smallint, expected bigint, actual bigint) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN CASE kind WHEN 0 THEN true WHEN 1 THEN actual = 0 WHEN 2 THEN actual > 0 ELSE actual = expected END;

-- One stream in the outcome of a command.
CREATE FUNCTION stream_outcome(type text, id text, base_version bigint, events integer, first_position bigint,
                               last_position bigint)
RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object('type', type, 'id', id, 'first_version', base_version + 1, 'last_version', base_version + events,
                          'first_position', first_position, 'last_position', last_position);

-- One append, in one round trip. Streams come first and then conditions, each stream's events together and in its order.
-- expected_kinds: see as_expected(). events_in counts each stream's events.
--
-- Each expression and each statement below is made ready once more by each transaction, which takes most of an append's time.
-- So the common append, of events to one stream that is there, has branches without loops; and a single event has its own.
CREATE FUNCTION append(
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
            positions := ARRAY(SELECT nextval('events_global_position_seq') FROM generate_series(1, cardinality(ids)));
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

-- Takes the locks of several appends that are to share a transaction, in the order that each append() takes its own: all
-- commands, then all streams. Whoever keeps to it never waits in a circle. Keys are made by append_lock().
CREATE FUNCTION append_locks(command_keys text[], stream_keys text[], stream_writes boolean[])
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
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
$$;

-- --- For people with a SQL prompt --------------------------------------------------------------------------------------

CREATE VIEW event_log AS
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
        (SELECT jsonb_object_agg(a.name, a.value) FROM event_attributes AS a
         WHERE a.global_position = e.global_position) END AS attributes
FROM events AS e
JOIN streams AS s ON s.stream_no = e.stream_no
LEFT JOIN commands AS c ON c.command_no = e.command_no;

-- --- Roles -------------------------------------------------------------------------------------------------------------
--
-- Nobody but the owner may do anything until grant_roles() is called. A reader selects; a writer appends, keeps snapshots
-- and runs projections too, may remove both, and adds data subjects' keys; an admin may do the same, and governs: schemas and
-- rules of event types, destroying keys, sealing the log. No role may UPDATE, DELETE or TRUNCATE what is append-only:
-- append() runs with its owner's rights and is the only way to move a stream's head. What else is in the schema, read
-- models and the application's own tables, is left alone.

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
END
$$;

CREATE FUNCTION grant_roles(reader text, writer text, admin text) RETURNS void LANGUAGE plpgsql
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
        EXECUTE format('GRANT EXECUTE ON FUNCTION append, append_locks TO %I', role_name);
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
REVOKE ALL ON FUNCTION grant_roles(text, text, text) FROM PUBLIC;
