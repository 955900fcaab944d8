-- stele:loses-data
DROP TABLE $(schema).dead_letters;
DROP TABLE $(schema).projection_members;
DROP TABLE $(schema).projection_offsets;
DROP TABLE $(schema).projections;
