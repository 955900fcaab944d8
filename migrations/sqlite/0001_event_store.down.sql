-- stele:loses-data
DROP VIEW event_log;
DROP TABLE event_attributes;
DROP TABLE events;
DROP TABLE commands;
DROP TABLE streams;
DROP TABLE names;
PRAGMA application_id = 0;
