-- stele:loses-data
DROP VIEW $(schema).event_log;
GO
DROP PROCEDURE $(schema).grant_roles;
DROP PROCEDURE $(schema).append_to_stream;
DROP PROCEDURE $(schema).append_one;
DROP PROCEDURE $(schema).settled_position;
DROP PROCEDURE $(schema).announce_positions;
DROP PROCEDURE $(schema).take_lock;
GO
DROP TABLE $(schema).truncate_guard;
DROP TABLE $(schema).event_attributes;
DROP TABLE $(schema).events;
DROP TABLE $(schema).commands;
DROP TABLE $(schema).streams;
GO
