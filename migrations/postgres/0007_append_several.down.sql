DROP FUNCTION append_several;

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
