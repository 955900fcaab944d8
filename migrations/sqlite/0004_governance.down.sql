-- stele:loses-data
DROP TABLE log_seals;
DROP TABLE event_hashes;
DROP TABLE subject_keys;
DROP TABLE event_type_rules;
DROP TABLE event_schemas;
