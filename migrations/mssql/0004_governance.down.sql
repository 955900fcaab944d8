-- stele:loses-data
DROP TABLE $(schema).governance_truncate_guard;
DROP TABLE $(schema).log_seals;
DROP TABLE $(schema).event_hashes;
DROP TABLE $(schema).subject_keys;
DROP TABLE $(schema).event_type_rules;
DROP TABLE $(schema).event_schemas;
GO
