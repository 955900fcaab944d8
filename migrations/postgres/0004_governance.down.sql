-- stele:loses-data
DROP TABLE log_seals, event_hashes, subject_keys, event_type_rules, event_schemas;
DROP FUNCTION keys_only_forwards();
DROP FUNCTION rules_only_forwards();
DROP FUNCTION refuse_schema_in_use();
