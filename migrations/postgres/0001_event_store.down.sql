-- stele:loses-data
DROP VIEW event_log;
DROP FUNCTION grant_roles(text, text, text);
DROP FUNCTION append_locks(text[], text[], boolean[]);
DROP FUNCTION append;
DROP TYPE append_answer;
DROP FUNCTION settled_position();
DROP TABLE event_attributes, events, commands, streams;
DROP FUNCTION append_lock(regclass, text);
DROP FUNCTION lock_class(regclass);
DROP FUNCTION refuse_stray_events();
DROP FUNCTION refuse_more_attributes();
DROP FUNCTION only_forwards();
DROP FUNCTION refuse_change();
