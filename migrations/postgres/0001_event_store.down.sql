-- stele:loses-data
DROP VIEW event_log;
DROP FUNCTION grant_roles(text, text, text);
DROP FUNCTION append_locks(text[], text[], boolean[]);
DROP FUNCTION append;
DROP FUNCTION stream_outcome(text, text, bigint, integer, bigint, bigint);
DROP FUNCTION as_expected(smallint, bigint, bigint);
DROP TYPE append_answer;
DROP FUNCTION settled_position();
DROP TABLE event_attributes, events, commands, streams;
DROP FUNCTION append_lock(regclass, text);
DROP FUNCTION lock_class(regclass);
DROP FUNCTION refuse_stray_events();
DROP FUNCTION refuse_more_attributes();
DROP FUNCTION only_forwards();
DROP FUNCTION refuse_change();
DROP DOMAIN key_64, key_128, key_255, actor_kind, channel_kind, redaction_kind, version_number, schema_version, row_count,
    sha256_hash, event_time, json_container, json_object;
